/**
 * `bty-sim`: pretend machines boot from an appliance on the network of this namespace. Arguments: how many, and over
 * how many milliseconds they are switched on. Each machine speaks from the address that it leased, which becomes a
 * local one of this namespace then; earlier, the appliance's search for conflicts would find it in use.
 */
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Packet, parse } from '../../dhcp/packet.ts';
import { bootMachine, models, type Outcome, type Wire } from './machine.ts';

const [count = 100, over = 10_000] = process.argv.slice(2).map(Number);
const socket = createSocket({ type: 'udp4', recvBufferSize: 8 << 20 });
await new Promise<void>((resolve) => socket.bind(68, '0.0.0.0', resolve));
socket.setBroadcast(true);
const waiting = new Map<number, (packet: Packet | null) => void>();
socket.on('message', (bytes) => {
  const read = parse(bytes);
  if (read.kind === 'packet' && read.packet.op === 2) waiting.get(read.packet.xid)?.(read.packet);
});
const wire: Wire = {
  send: (bytes) => socket.send(bytes, 67, '255.255.255.255', () => undefined),
  answer: (xid, milliseconds) =>
    new Promise((resolve) => {
      const settle = (packet: Packet | null) => {
        clearTimeout(timer);
        waiting.delete(xid);
        resolve(packet);
      };
      const timer = setTimeout(() => settle(null), milliseconds);
      waiting.set(xid, settle);
    }),
  claim: async (address) => {
    await promisify(execFile)('ip', ['route', 'replace', 'local', `${address}/32`, 'dev', 'lo']);
  },
};

/** p50 and p99 of `values`, in milliseconds. */
function percentiles(values: readonly number[]): { p50: number; p99: number; count: number } {
  const sorted = values.toSorted((one, other) => one - other);
  const at = (share: number) =>
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 10) / 10;
  return { p50: at(0.5), p99: at(0.99), count: sorted.length };
}

const outcomes: Outcome[] = await Promise.all(
  Array.from({ length: count }, async (_, index) => {
    await pause((over * index) / count);
    return bootMachine(wire, models[index % models.length] ?? models[0] ?? (undefined as never), index + 1);
  }),
);
const names = [...new Set(outcomes.flatMap(({ stages }) => [...stages.keys()]))];
const stages = Object.fromEntries(
  names.map((name) => [name, percentiles(outcomes.flatMap((one) => one.stages.get(name) ?? []))]),
);
const failed = outcomes.filter(({ problem }) => problem !== null);
const report = {
  machines: count,
  failed: failed.map(({ mac, model, problem }) => ({ mac, model, problem })),
  stages,
};
process.stdout.write(`${JSON.stringify(report)}\n`);
socket.close();
process.exitCode = failed.length > 0 ? 1 : 0;
