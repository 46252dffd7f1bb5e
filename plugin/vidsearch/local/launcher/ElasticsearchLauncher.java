import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.lucene.util.Version;
import org.elasticsearch.Build;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginBundle;
import org.elasticsearch.plugins.PluginsLoader;
import org.elasticsearch.rest.RestChannel;
import org.elasticsearch.rest.RestController;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.xcontent.XContentBuilder;

/**
 * Runs one Elasticsearch node (8.19 or 9.x) from plain jars on the class path.
 *
 * Arguments are settings, "name=value" each; path.home must be among them. SIGTERM stops the node.
 */
public final class ElasticsearchLauncher {

    public static void main(String[] args) throws Exception {
        Settings.Builder given = Settings.builder();
        for (String arg : args) {
            int cut = arg.indexOf('=');
            given.put(arg.substring(0, cut), arg.substring(cut + 1));
        }
        Settings settings = given.build();
        LogConfigurator.registerErrorListener();
        LogConfigurator.configureWithoutConfig(settings);

        Path config = Path.of(settings.get("path.home"), "config");
        Environment environment = new Environment(settings, config);
        PluginsLoader loader = PluginsLoader.createPluginsLoader(
            bundles("loadModulesBundles", environment.modulesDir()),
            bundles("loadPluginsBundles", environment.pluginsDir()),
            Map.of(),
            false // the server is not a named module here
        );
        Node node = new Node(environment, loader);
        node.injector().getInstance(RestController.class).registerHandler(new Root(settings));

        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
                node.awaitClose(10, TimeUnit.SECONDS);
            } catch (Exception error) {
                error.printStackTrace();
            }
        }));
        node.start();
        new CountDownLatch(1).await();
    }

    /** The method takes the folder, and from 9.5 on a flag as well. */
    @SuppressWarnings("unchecked")
    private static Set<PluginBundle> bundles(String loader, Path folder) throws ReflectiveOperationException {
        for (Method method : PluginsLoader.class.getMethods()) {
            if (method.getName().equals(loader)) {
                boolean flagged = method.getParameterCount() == 2;
                return (Set<PluginBundle>) (flagged ? method.invoke(null, folder, true) : method.invoke(null, folder));
            }
        }
        throw new NoSuchMethodException("PluginsLoader." + loader);
    }

    /** Answers "GET /", which the distribution's own module "rest-root" does otherwise. */
    private record Root(Settings settings) implements RestHandler {

        @Override
        public List<Route> routes() {
            return List.of(new Route(RestRequest.Method.GET, "/"), new Route(RestRequest.Method.HEAD, "/"));
        }

        @Override
        public void handleRequest(RestRequest request, RestChannel channel, NodeClient client) throws Exception {
            XContentBuilder body = channel.newBuilder().startObject();
            body.field("name", settings.get("node.name", "local"));
            body.field("cluster_name", settings.get("cluster.name", "elasticsearch"));
            body.startObject("version");
            body.field("number", Build.current().qualifiedVersion());
            body.field("build_flavor", Build.current().flavor());
            body.field("build_hash", Build.current().hash());
            body.field("build_date", Build.current().date());
            body.field("build_snapshot", Build.current().isSnapshot());
            body.field("lucene_version", Version.LATEST.toString());
            body.endObject();
            body.field("tagline", "You Know, for Search");
            channel.sendResponse(new RestResponse(RestStatus.OK, body.endObject()));
        }
    }
}
