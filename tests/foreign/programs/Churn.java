import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.zip.CRC32;
import java.util.zip.Deflater;

/** Short-lived and long-lived objects on four threads; direct buffers and deflaters take the C library's malloc. */
public class Churn {
    static long work(int seed, int rounds) {
        Map<Integer, List<String>> kept = new HashMap<>();
        long sum = 0;
        for (int r = 0; r < rounds; r++) {
            for (int i = 0; i < 20000; i++) {
                String s = "item " + (i * 7919 + seed);
                sum += s.hashCode();
                if (i % 64 == 0) kept.computeIfAbsent(i % 1000, k -> new ArrayList<>()).add(s);
            }
            if (r % 8 == 7) kept.clear();
            ByteBuffer direct = ByteBuffer.allocateDirect(1 << 16 + r % 5);
            for (int i = 0; i < direct.capacity(); i += 64) direct.put(i, (byte) (i + r));
            byte[] plain = new byte[direct.capacity()], packed = new byte[direct.capacity() + 64];
            direct.get(plain);
            Deflater deflater = new Deflater(r % 10);
            deflater.setInput(plain);
            deflater.finish();
            int n = deflater.deflate(packed);
            deflater.end();
            CRC32 crc = new CRC32();
            crc.update(packed, 0, n);
            sum += crc.getValue();
        }
        return sum;
    }

    public static void main(String[] args) throws Exception {
        int rounds = Integer.parseInt(args[0]);
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<Long>> results = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            int seed = i;
            results.add(pool.submit(() -> work(seed, rounds)));
        }
        for (Future<Long> f : results) System.out.println(f.get());
        pool.shutdown();
    }
}
