// Starts Trino, as io.trino.server.TrinoServer does. Run from its source: `java -cp 'lib/*' Launch.java 435`.
public class Launch {
    public static void main(String[] arguments) {
        new io.trino.server.Server().start(arguments[0]);
    }
}
