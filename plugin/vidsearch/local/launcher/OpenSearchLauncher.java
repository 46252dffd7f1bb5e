import java.io.File;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.opensearch.Version;
import org.opensearch.action.admin.cluster.node.info.PluginsAndModules;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.index.reindex.ReindexPlugin;
import org.opensearch.knn.plugin.KNNPlugin;
import org.opensearch.neuralsearch.plugin.NeuralSearch;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.painless.PainlessPlugin;
import org.opensearch.plugins.Plugin;
import org.opensearch.plugins.PluginInfo;
import org.opensearch.plugins.PluginsService;
import org.opensearch.transport.Netty4Plugin;

/**
 * Runs one OpenSearch 2.19 node with k-NN and neural-search from plain jars on the class path.
 *
 * Arguments are settings, "name=value" each; path.home must be among them. SIGTERM stops the node.
 * Where java.library.path holds k-NN's native libraries, k-NN is listed by the name that it has when
 * installed, as clients tell by it whether the node has faiss.
 * -Dvidsearch.plugin=CLASS adds a plugin, -Dopensearch.path.conf=FOLDER takes another config folder.
 */
public final class OpenSearchLauncher extends Node {

    private static final List<Class<? extends Plugin>> PLUGINS = List.of(
        Netty4Plugin.class,
        PainlessPlugin.class,
        ReindexPlugin.class,
        KNNPlugin.class,
        NeuralSearch.class
    );

    private OpenSearchLauncher(Environment environment, Collection<Class<? extends Plugin>> plugins)
        throws ReflectiveOperationException {
        super(environment, plugins, false);
        if (hasNativeLibraries()) {
            listKnn(injector().getInstance(PluginsService.class));
        }
    }

    private static void listKnn(PluginsService service) throws ReflectiveOperationException {
        String java = System.getProperty("java.specification.version");
        String about = "from the class path, with its native libraries";
        List<PluginInfo> plugins = new ArrayList<>(service.info().getPluginInfos());
        plugins.add(
            new PluginInfo("opensearch-knn", about, "NA", Version.CURRENT, java, KNNPlugin.class.getName(), null, List.of(), false)
        );
        Field info = PluginsService.class.getDeclaredField("info");  // nothing else can add to it
        info.setAccessible(true);
        info.set(service, new PluginsAndModules(plugins, service.info().getModuleInfos()));
    }

    private static boolean hasNativeLibraries() {
        String library = System.mapLibraryName("opensearchknn_common");
        return Stream.of(System.getProperty("java.library.path").split(File.pathSeparator))
            .anyMatch(folder -> Files.exists(Path.of(folder, library)));
    }

    public static void main(String[] args) throws Exception {
        Settings.Builder given = Settings.builder();
        for (String arg : args) {
            int cut = arg.indexOf('=');
            given.put(arg.substring(0, cut), arg.substring(cut + 1));
        }
        Settings settings = given.build();
        LogConfigurator.registerErrorListener();
        LogConfigurator.configureWithoutConfig(settings);

        List<Class<? extends Plugin>> plugins = new ArrayList<>(PLUGINS);
        if (System.getProperty("vidsearch.plugin") != null) {
            plugins.add(Class.forName(System.getProperty("vidsearch.plugin")).asSubclass(Plugin.class));
        }
        Path config = Path.of(System.getProperty("opensearch.path.conf", settings.get("path.home") + "/config"));
        Environment environment = InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), config, () -> "local");
        OpenSearchLauncher node = new OpenSearchLauncher(environment, plugins);

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
}
