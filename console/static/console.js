"use strict";
// Draws the graph and the charts of a page, again after each update by htmx. All texts are text nodes.

const COLORS = {
  succeeded: "good", caught: "warn", failed: "bad", running: "accent", unknown: "muted",
  accepted: "accent", processed: "good", p50: "accent", p95: "warn", CRITICAL: "bad", HIGH: "warn", MEDIUM: "accent", LOW: "muted",
};
let selected = "";

function color(name) {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `var(--${COLORS[name] || name})`;
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  element.append(...children);
  return element;
}

function drawGraph(box, { start, states, edges, visited }) {
  const results = Object.fromEntries(visited.map(([name, result, summary]) => [name, { result, summary }]));
  for (const [name] of visited) states[name] ||= "";  // a state of another version of the definition
  const taken = new Set(visited.slice(1).map(([name], number) => `${visited[number][0]}→${name}`));
  const layout = new dagre.graphlib.Graph().setGraph({ nodesep: 20, ranksep: 34, marginx: 4, marginy: 4 });
  for (const name of Object.keys(states)) layout.setNode(name, { width: name.length * 7 + 34, height: 38 });
  for (const [source, target, kind] of edges) layout.setEdge(source, target, { kind, weight: kind === "next" ? 6 : 1 });
  dagre.layout(layout);
  const { width, height } = layout.graph();
  // dagre's width does not count edges that run beside all states.
  const ends = layout.edges().flatMap((edge) => layout.edge(edge).points.map((point) => point.x));
  const left = Math.min(0, ...ends) - 4, full = Math.max(width, ...ends) + 4 - left;
  const marker = { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" };
  const picture = svg("svg", { viewBox: `${left} 0 ${full} ${height}`, width: full, height, role: "group", "aria-label": "Graph" },
    svg("defs", {}, svg("marker", marker, svg("path", { d: "M0,0L8,4L0,8z" }))));
  for (const { v, w } of layout.edges()) {
    const { points, kind } = layout.edge(v, w);
    const kinds = `edge ${kind}${taken.has(`${v}→${w}`) ? " taken" : ""}`;
    picture.append(svg("path", { class: kinds, d: curve(points), "marker-end": "url(#arrow)" }));
  }
  for (const name of layout.nodes()) picture.append(node(name, layout.node(name), results[name], name === start));
  box.replaceChildren(picture);
}

function curve([first, ...points]) {
  const bends = points.slice(0, -1).map(({ x, y }, number) => {
    const next = points[number + 1], share = number === points.length - 2 ? 1 : 0.5;
    return `Q${x},${y} ${x + (next.x - x) * share},${y + (next.y - y) * share}`;
  });
  return `M${first.x},${first.y}${bends.join("")}`;
}

function node(name, { x, y, width, height }, found, isStart) {
  const { result, summary } = found || { result: "not-reached", summary: "not reached" };
  const hasRetries = found && summary !== result, label = `${name}: ${summary}`;
  const group = svg("g", {
    class: `node ${result}`, transform: `translate(${x - width / 2},${y - height / 2})`, role: "button",
    tabindex: found ? 0 : -1, "aria-label": label, "data-state": name, "data-result": result,
  }, svg("title", {}, label), svg("rect", { width, height, rx: isStart ? 19 : 7 }),
  svg("text", { x: width / 2, y: hasRetries ? 17 : 24 }, name),
  svg("text", { class: "small", x: width / 2, y: 31 }, hasRetries ? summary : ""));
  group.addEventListener("click", () => select(name));
  group.addEventListener("keydown", (event) => {
    if ([" ", "Enter"].includes(event.key)) { event.preventDefault(); select(name); } });
  return group;
}

function select(name) {
  selected = name;
  for (const one of document.querySelectorAll("[data-state]")) one.classList.toggle("selected", one.dataset.state === name);
  const details = [...document.querySelectorAll("[data-details]")];
  for (const one of details) one.hidden = one.dataset.details !== name;
  document.querySelector("[data-hint]").hidden = details.some((one) => !one.hidden);
}

function drawChart(box, type, labels, datasets, indexAxis = "x") {
  const grid = { color: color("line") }, ticks = { color: color("muted"), maxRotation: 0, autoSkipPadding: 16, precision: 0 };
  const y = { grid, ticks: { ...ticks, autoSkip: indexAxis === "x" }, beginAtZero: true };
  const legend = { display: datasets.length > 1, labels: { color: color("text"), boxWidth: 10 } };
  new Chart(box.querySelector("canvas"), { type, data: { labels, datasets }, options: { indexAxis, animation: false,
    maintainAspectRatio: false, scales: { x: { grid, ticks, beginAtZero: true }, y }, plugins: { legend } } });
}

const DRAW = {
  graph: drawGraph,
  timeline(box, bars) {
    box.style.height = `${bars.length * 26 + 40}px`;
    const backgroundColor = bars.map((bar) => color(bar.result)), data = bars.map((bar) => [bar.from, bar.to]);
    drawChart(box, "bar", bars.map((bar) => bar.label), [{ data, backgroundColor, minBarLength: 3, barPercentage: 0.7 }], "y");
  },
  lines(box, { labels, lines }) {
    drawChart(box, "line", labels, Object.entries(lines).map(([label, data]) => ({ label, data, spanGaps: true, borderWidth: 1.5,
      borderColor: color(label), backgroundColor: color(label), pointRadius: labels.length > 20 ? 0 : 2 })));
  },
  bars(box, counts) {
    const labels = Object.keys(counts), backgroundColor = labels.map(color);
    drawChart(box, "bar", labels, [{ data: Object.values(counts), backgroundColor, maxBarThickness: 42 }]);
  },
};

document.addEventListener("htmx:load", ({ detail }) => {
  Object.values(Chart.instances).filter((chart) => !chart.canvas?.isConnected).forEach((chart) => chart.destroy());
  for (const [kind, act] of Object.entries(DRAW))
    for (const box of detail.elt.querySelectorAll(`[data-${kind}]`)) act(box, JSON.parse(box.dataset[kind]));
  if (selected && document.querySelector("[data-hint]")) select(selected);
});
document.addEventListener("click", ({ target }) => {
  const source = document.getElementById(target.dataset.copy);
  if (source) navigator.clipboard.writeText(source.textContent).then(() => { target.textContent = "Copied"; });
});
