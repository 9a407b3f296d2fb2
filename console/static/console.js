"use strict";
// Draws the graph and the charts of a page, again after each update by htmx. All texts are text nodes.

const RESULT_COLORS = { succeeded: "good", caught: "warn", failed: "bad", running: "accent", unknown: "muted" };
const LINE_COLORS = { accepted: "accent", processed: "good", failed: "bad", p50: "accent", p95: "warn" };
const URGENCY_COLORS = { CRITICAL: "bad", HIGH: "warn", MEDIUM: "accent", LOW: "muted" };
let selected = "";

function color(name) {
  const probe = document.documentElement.appendChild(document.createElement("i"));
  probe.style.color = `var(--${name})`;
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function drawGraph(box) {
  const { start, states, edges, visited } = JSON.parse(box.dataset.graph);
  const results = Object.fromEntries(visited.map((state) => [state.name, state]));
  const layout = new dagre.graphlib.Graph().setGraph({ nodesep: 20, ranksep: 34, marginx: 4, marginy: 4 });
  for (const name of Object.keys(states)) layout.setNode(name, { width: name.length * 7 + 34, height: 38 });
  for (const edge of edges) layout.setEdge(edge.source, edge.target, { kind: edge.kind });
  dagre.layout(layout);
  const taken = new Set(visited.slice(1).map((state, number) => `${visited[number].name}→${state.name}`));
  const { width, height } = layout.graph();
  const arrow = svg("path", { d: "M0,0L8,4L0,8z" });
  const marker = { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" };
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group" },
    svg("defs", {}, svg("marker", marker, arrow)));
  for (const { v, w } of layout.edges()) {
    const { points, kind } = layout.edge(v, w);
    const isTaken = taken.has(`${v}→${w}`) ? " taken" : "";
    picture.append(svg("path", { class: `edge ${kind}${isTaken}`, d: curve(points), "marker-end": "url(#arrow)" }));
  }
  for (const name of layout.nodes()) picture.append(node(name, layout.node(name), results[name], name === start));
  box.replaceChildren(picture);
}

function curve(points) {
  const middle = (a, b) => `${(a.x + b.x) / 2},${(a.y + b.y) / 2}`;
  const bends = points.slice(1, -1).map((point, number) => {
    const next = points[number + 2];
    return `Q${point.x},${point.y} ${number === points.length - 3 ? `${next.x},${next.y}` : middle(point, next)}`;
  });
  return `M${points[0].x},${points[0].y}${bends.join("")}`;
}

function node(name, { x, y, width, height }, found, isStart) {
  const result = found ? found.result : "not-reached";
  const label = `${name}: ${found ? found.summary : "not reached"}`;
  const group = svg("g", {
    class: `node ${result}`, transform: `translate(${x - width / 2},${y - height / 2})`,
    role: "button", tabindex: found ? 0 : -1, "aria-label": label, "data-state": name, "data-result": result,
  }, svg("title", {}, label), svg("rect", { width, height, rx: isStart ? 19 : 7 }),
  svg("text", { x: width / 2, y: found && found.summary !== result ? 17 : 24 }, name));
  if (found && found.summary !== result) group.append(svg("text", { class: "small", x: width / 2, y: 31 }, found.summary));
  group.addEventListener("click", () => select(name));
  group.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); select(name); }
  });
  return group;
}

function select(name) {
  selected = name;
  for (const one of document.querySelectorAll("[data-state]")) one.classList.toggle("selected", one.dataset.state === name);
  const known = [...document.querySelectorAll("[data-details]")];
  for (const one of known) one.hidden = one.dataset.details !== name;
  document.querySelector("[data-hint]").hidden = known.some((one) => !one.hidden);
}

function drawChart(box, type, data, options) {
  const grid = { color: color("line") }, ticks = { color: color("muted"), maxRotation: 0, autoSkipPadding: 16 };
  const scales = { x: { grid, ticks, beginAtZero: true }, y: { grid, ticks, beginAtZero: true } };
  const plugins = { legend: { display: data.datasets.length > 1, labels: { color: color("text"), boxWidth: 10 } } };
  new Chart(box.querySelector("canvas"), {
    type, data, options: { animation: false, maintainAspectRatio: false, scales, plugins, ...options } });
}

function draw(root) {
  const all = (name, act) => root.querySelectorAll(`[data-${name}]`).forEach((box) => act(box, box.dataset[name]));
  all("graph", drawGraph);
  if (selected && document.querySelector("[data-graph]")) select(selected);
  if (!window.Chart) return;
  Object.values(Chart.instances).filter((chart) => !chart.canvas?.isConnected).forEach((chart) => chart.destroy());
  all("timeline", (box, text) => {
    const bars = JSON.parse(text);
    box.style.height = `${bars.length * 26 + 40}px`;
    const backgroundColor = bars.map((bar) => color(RESULT_COLORS[bar.result]));
    const data = bars.map((bar) => [bar.from, bar.to]);
    drawChart(box, "bar", { labels: bars.map((bar) => bar.label),
      datasets: [{ data, backgroundColor, minBarLength: 3, barPercentage: 0.7 }] }, { indexAxis: "y" });
  });
  all("lines", (box, text) => {
    const { labels, lines } = JSON.parse(text);
    drawChart(box, "line", { labels, datasets: Object.entries(lines).map(([label, data]) => ({
      label, data, borderColor: color(LINE_COLORS[label]), backgroundColor: color(LINE_COLORS[label]),
      borderWidth: 1.5, pointRadius: label.startsWith("p") && label.length === 3 ? 2 : 0, spanGaps: true })) });
  });
  all("bars", (box, text) => {
    const counts = JSON.parse(text), labels = Object.keys(counts);
    const backgroundColor = labels.map((label) => color(URGENCY_COLORS[label]));
    drawChart(box, "bar", { labels, datasets: [{ data: Object.values(counts), backgroundColor, maxBarThickness: 42 }] });
  });
}

document.addEventListener("htmx:load", (event) => draw(event.detail.elt));
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent)
    .then(() => { button.textContent = "Copied"; });
});
