import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import org.apache.commons.lang.StringEscapeUtils;
import org.apache.velocity.VelocityContext;
import org.apache.velocity.app.VelocityEngine;
import org.apache.velocity.app.event.EventCartridge;
import org.apache.velocity.app.event.ReferenceInsertionEventHandler;

/**
 * Renders mapping templates with Apache Velocity 1.7, with the variables that API Gateway adds.
 *
 * Reads lines `KIND NAME VALUE` of what a template sees, both words in Base64 of UTF-16: json and path (what $input
 * answers for a JSON path), params (a request's parameter), context (a path of names in $context, with a slash
 * between two). A line `render NAME TEMPLATE` renders it and forgets what was read; the answer is one line: the text
 * in Base64 of UTF-16, a space, and what the template set in $context.responseOverride in the same form.
 */
public class Render {
    public static class Input {
        private final Map<String, Map<String, String>> answers;

        Input(Map<String, Map<String, String>> answers) {
            this.answers = answers;
        }

        public String json(String path) {
            return answers.get("json").get(path);
        }

        public String path(String path) {
            return answers.get("path").get(path);
        }

        public String params(String name) {
            return answers.get("params").getOrDefault(name, "");
        }
    }

    public static class Util {
        public String escapeJavaScript(String text) {
            return StringEscapeUtils.escapeJavaScript(text);
        }
    }

    public static void main(String[] arguments) throws Exception {
        VelocityEngine engine = new VelocityEngine();
        engine.setProperty("runtime.log.logsystem.class", "org.apache.velocity.runtime.log.NullLogChute");
        engine.init();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        Map<String, Map<String, String>> answers = empty();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ", -1);
            if (words[0].equals("render")) {
                System.out.println(render(engine, decoded(words[1]), decoded(words[2]), answers));
                answers = empty();
            } else {
                answers.get(words[0]).put(decoded(words[1]), decoded(words[2]));
            }
        }
    }

    private static Map<String, Map<String, String>> empty() {
        Map<String, Map<String, String>> answers = new HashMap<>();
        for (String kind : new String[] {"json", "path", "params", "context"}) {
            answers.put(kind, new HashMap<>());
        }
        return answers;
    }

    private static String render(
            VelocityEngine engine, String name, String template, Map<String, Map<String, String>> answers) {
        Map<String, Object> override = new TreeMap<>();
        Map<String, Object> apiContext = nested(answers.get("context"));
        apiContext.put("responseOverride", override);
        VelocityContext context = new VelocityContext();
        context.put("input", new Input(answers));
        context.put("util", new Util());
        context.put("context", apiContext);
        // API Gateway writes nothing for a reference to nothing, where Velocity writes the reference.
        EventCartridge cartridge = new EventCartridge();
        cartridge.addEventHandler(
                (ReferenceInsertionEventHandler) (reference, value) -> value == null ? "" : value);
        cartridge.attachToContext(context);
        StringWriter text = new StringWriter();
        engine.evaluate(context, text, name, template);
        return encoded(text.toString()) + " " + encoded(override.toString());
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> nested(Map<String, String> values) {
        Map<String, Object> root = new HashMap<>();
        for (Map.Entry<String, String> entry : values.entrySet()) {
            String[] names = entry.getKey().split("/");
            Map<String, Object> map = root;
            for (int i = 0; i < names.length - 1; i++) {
                map = (Map<String, Object>) map.computeIfAbsent(names[i], name -> new HashMap<String, Object>());
            }
            map.put(names[names.length - 1], entry.getValue());
        }
        return root;
    }

    private static String decoded(String word) {
        return new String(Base64.getDecoder().decode(word), StandardCharsets.UTF_16BE);
    }

    private static String encoded(String text) {
        return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_16BE));
    }
}
