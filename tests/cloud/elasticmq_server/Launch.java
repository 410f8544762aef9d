// Starts ElasticMQ on a port. Run from its source: `java -cp 'lib/*' Launch.java 9324`.
public class Launch {
    public static void main(String[] arguments) {
        org.elasticmq.rest.sqs.SQSRestServerBuilder$.MODULE$
            .withInterface("127.0.0.1")
            .withPort(Integer.parseInt(arguments[0]))
            .start()
            .waitUntilStarted();
    }
}
