// What reaches malloc from JavaScript: buffers, compression, hashes; the language's own objects live in V8's heap.
'use strict';
const zlib = require('zlib');
const crypto = require('crypto');

let state = 12345;
function number(below) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) % below;
}

const kept = new Map();
const hash = crypto.createHash('sha256');
for (let i = 0; i < 7500; i++) {
    const rows = [];
    for (let j = 0; j < 60; j++) rows.push({ id: number(100000), name: 'row-' + number(1000), tags: ['a', 'b', number(9)] });
    const packed = zlib.deflateSync(Buffer.from(JSON.stringify(rows)), { level: 1 });
    kept.set(number(1500), packed);
    const back = JSON.parse(zlib.inflateSync(packed).toString());
    hash.update(Buffer.concat([packed, Buffer.alloc(number(5000), back.length)]));
}
console.log(kept.size, hash.digest('hex'));
