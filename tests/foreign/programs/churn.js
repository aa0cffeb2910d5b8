// A node program: objects and strings, buffers outside the JavaScript heap, zlib and crypto on the thread pool, worker
// threads, child processes, and an HTTP exchange with itself. Prints digests only.
'use strict';
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { execFileSync } = require('child_process');
const crypto = require('crypto');
const http = require('http');
const zlib = require('zlib');
const { promisify } = require('util');

const sha = (data) => crypto.createHash('sha256').update(data).digest('hex').slice(0, 16);

function objects(seed, amount) {
  let state = seed;
  const draw = (n) => (state = (state * 1103515245 + 12345) % 2147483648) % n;
  const map = new Map();
  const buffers = [];
  for (let i = 0; i < amount; i++) {
    const key = 'k' + draw(5000);
    map.set(key, (map.get(key) || '') + String.fromCharCode(97 + draw(26)));
    if (i % 10 === 0) buffers[draw(500)] = Buffer.alloc(draw(20000), i & 255);
  }
  const hash = crypto.createHash('sha256');
  for (const [k, v] of [...map].sort()) hash.update(k + v);
  for (const b of buffers) if (b) hash.update(b);
  return hash.digest('hex').slice(0, 16);
}

async function main(rounds) {
  console.log('objects', objects(7, 30000 * rounds));
  const text = Buffer.from(Array.from({ length: 40000 }, (_, i) => `line ${(i * 7919) % 1009}\n`).join(''));
  const packed = await Promise.all(
    Array.from({ length: 4 * rounds }, (_, i) => promisify(zlib.deflate)(text, { level: 1 + (i % 9) })));
  console.log('deflate', sha(Buffer.concat(packed)));
  const back = await Promise.all(packed.map((p) => promisify(zlib.inflate)(p)));
  console.log('inflate', back.every((b) => b.equals(text)));
  console.log('brotli', sha(zlib.brotliCompressSync(text, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } })));
  const keys = await Promise.all(
    Array.from({ length: 4 * rounds }, (_, i) => promisify(crypto.pbkdf2)('word' + i, 'salt', 2000, 64, 'sha512')));
  console.log('pbkdf2', sha(Buffer.concat(keys)));

  const workers = Array.from({ length: 3 }, (_, i) => new Promise((done, fail) => {
    const w = new Worker(__filename, { workerData: { seed: i, amount: 20000 * rounds } });
    w.on('message', done).on('error', fail);
  }));
  console.log('workers', await Promise.all(workers));

  const server = http.createServer((request, response) => {
    let size = 0;
    request.on('data', (d) => (size += d.length)).on('end', () => response.end(`${request.url} ${size}`));
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  const answers = [];
  for (let i = 0; i < 20 * rounds; i++) {
    answers.push(await new Promise((done, fail) => {
      const request = http.request({ host: '127.0.0.1', port: server.address().port, method: 'POST', path: '/' + i }, (response) => {
        let body = '';
        response.on('data', (d) => (body += d)).on('end', () => done(body));
      });
      request.on('error', fail);
      request.end(Buffer.alloc(1000 * i, 120));
    }));
  }
  server.close();
  console.log('http', sha(answers.join('\n')));
  console.log('child', execFileSync('sh', ['-c', 'echo hello | tr a-z A-Z']).toString().trim());
  const values = Array.from({ length: 50000 }, (_, i) => ({ i, s: 'v' + i }));
  console.log('json', sha(JSON.stringify(JSON.parse(JSON.stringify(values)))));
}

if (isMainThread) main(Number(process.argv[2] || 1));
else parentPort.postMessage(objects(workerData.seed, workerData.amount));
