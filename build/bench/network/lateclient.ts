/** As a program: fetches a file by TFTP, a millisecond late with each answer. Arguments: address, file. Prints JSON. */
import { createSocket } from 'node:dgram';
import { TftpClient } from '../../../netboot/tests/tftp-client.ts';
import { parse } from '../../../netboot/tftp/packet.ts';

const [address = '', file = ''] = process.argv.slice(2);
const options = [
  ['blksize', '1468'],
  ['windowsize', '16'],
] as const;
const began = performance.now();
const client = new TftpClient({ file, options, acknowledgesOld: false }, began);
const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 21 });
let port = 69;
const send = (packets: readonly Uint8Array[]) => {
  if (isOver) return;
  for (const packet of packets) socket.send(packet, port, address);
};
let isOver = false;
const finish = () => {
  if (isOver || !client.finished) return;
  isOver = true;
  clearInterval(timer);
  const milliseconds = performance.now() - began;
  process.stdout.write(`${JSON.stringify({ bytes: client.bytes, milliseconds })}\n`);
  process.exitCode = client.state === 'done' ? 0 : 1;
  socket.close();
};
socket.on('message', (bytes, from) => {
  port = from.port;
  const packet = parse(bytes);
  if (packet.kind === 'malformed' || client.finished) return;
  const answers = client.receive(packet, performance.now());
  if (answers.length === 0) return;
  setTimeout(() => {
    send(answers);
    finish();
  }, 1);
});
const timer = setInterval(() => {
  send(client.tick(performance.now()));
  finish();
}, 50);
socket.bind(() => send([client.request()]));
