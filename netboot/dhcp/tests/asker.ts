/**
 * A client that asks once, for tests: each MAC that is read becomes a DISCOVER of QEMU's network boot, and each MAC that
 * is answered is written. Argument: address to which it sends, from port 68 of every address.
 */
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { macOf } from '../client.ts';
import { encode, parse } from '../packet.ts';

const [target = '255.255.255.255'] = process.argv.slice(2);
const captured = join(import.meta.dirname, '..', 'golden', 'seabios-ipxe-rom-1-discover.hex');
const read = parse(Buffer.from(readFileSync(captured, 'utf8').replaceAll(/\s/g, ''), 'hex'));
if (read.kind !== 'packet') throw new Error(read.problem);
const { packet } = read;

const socket = createSocket('udp4');
socket.on('message', (bytes) => {
  const answer = parse(bytes);
  if (answer.kind !== 'packet' || answer.packet.op !== 2) return;
  process.stdout.write(`${JSON.stringify({ answered: macOf(answer.packet) })}\n`);
});
socket.bind(68, () => {
  socket.setBroadcast(true);
  process.stdout.write('{"ready":true}\n');
  createInterface({ input: process.stdin }).on('line', (mac) => {
    const chaddr = new Uint8Array(16);
    chaddr.set(Buffer.from(mac.replaceAll(':', ''), 'hex'));
    const xid = chaddr[5] ?? 0;
    const asked = encode({ ...packet, chaddr, xid, flags: 0x8000 }, { maximum: 1472, overload: false });
    socket.send(asked.bytes, 67, target);
  });
});
