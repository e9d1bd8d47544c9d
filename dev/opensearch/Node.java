import org.codelibs.opensearch.runner.OpenSearchRunner;

/** One OpenSearch node: {@code java -cp 'jars/*' Node.java DIR CLUSTER PORT}, run by dev/opensearch.sh. */
class Node {
  public static void main(String[] args) throws Exception {
    var runner = new OpenSearchRunner();
    // The runner alone takes the next port when one is taken, and none above 9299.
    runner.setMaxHttpPort(-1);
    runner.onBuild((number, settings) -> settings
        .put("network.host", "127.0.0.1")
        .put("http.port", args[2])
        .put("transport.port", 0)
        // A development machine's disk is often nearly full: that must not make an index read-only.
        .put("cluster.routing.allocation.disk.threshold_enabled", false));
    runner.build(OpenSearchRunner.newConfigs()
        .basePath(args[0]).clusterName(args[1]).numOfNode(1).printOnFailure());
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      try {
        runner.close();
      } catch (Exception error) {
        error.printStackTrace();
      }
    }));
    Thread.currentThread().join();
  }
}
