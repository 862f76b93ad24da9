/**
 * `bty-sim`: pretend machines boot from an appliance on the network of this host or namespace, which needs root. Each
 * machine speaks from the address that it leased, which becomes a local one here then; earlier, the appliance's search
 * for conflicts would find it in use. Writes one line of JSON; exit code 1 when a machine failed.
 */
import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { noise } from '../../testing/files.ts';
import { bootMachine, macOf, type Outcome } from './machine.ts';
import { type Model, models } from './model.ts';
import { Operator } from './operator.ts';
import { openWire } from './wire.ts';

const usage = `bty-sim: pretend machines boot from an appliance.
  --interface NAME    interface that leads to the appliance (required)
  --machines COUNT    how many, one model after the other (100)
  --over MS           milliseconds over which they are switched on (10000)
  --together COUNT    how many boot at once at most: the next is switched on when one is ready (all)
  --models NAMES      only these, separated by commas: ${models.map(({ name }) => name).join(', ')}
  --appliance URL     its address, to bind an image to the machines and read their boot stories
  --password TEXT     of its operator; without both, machines end at the plan that they get
  --power-ons COUNT   how often a machine that failed is switched on in all (1)
`;
const { values } = parseArgs({
  options: {
    interface: { type: 'string' },
    machines: { type: 'string', default: '100' },
    over: { type: 'string', default: '10000' },
    together: { type: 'string', default: 'Infinity' },
    models: { type: 'string' },
    appliance: { type: 'string' },
    password: { type: 'string' },
    'power-ons': { type: 'string', default: '1' },
    help: { type: 'boolean' },
  },
});
const names = values.models?.split(',').map((name) => name.trim());
const chosen: readonly Model[] = models.filter(({ name }) => names?.includes(name) ?? true);
const [count, over] = [Number(values.machines), Number(values.over)];
const powerOns = Number(values['power-ons']);
const mostTogether = Number(values.together);
const isSound = chosen.length > 0 && mostTogether > 0 && count > 0 && over >= 0 && powerOns >= 1;
if (values.help || values.interface === undefined || !isSound) {
  process.stderr.write(usage);
  process.exit(values.help ? 0 : 2);
}

/** p50 and p99 of `numbers`, in milliseconds. */
function percentiles(numbers: readonly number[]): { p50: number; p99: number; count: number } {
  const sorted = numbers.toSorted((one, other) => one - other);
  const at = (share: number) =>
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 10) / 10;
  return { p50: at(0.5), p99: at(0.99), count: sorted.length };
}

/** Machines bound in one moment. */
const boundTogether = 16;
/** Milliseconds until a boot that stands still is called stopped, and some more. */
const patience = 40_000;

async function boundBy(operator: Operator): Promise<void> {
  const image = Uint8Array.from(noise(300_000, 7));
  const sha256 = createHash('sha256').update(image).digest('hex');
  await operator.upload('bty-sim.img', image, sha256);
  for (let index = 1; index <= count; index += boundTogether) {
    const some = Array.from({ length: Math.min(boundTogether, count - index + 1) }, (_, more) =>
      macOf(index + more),
    );
    await Promise.all(some.map((mac) => operator.bind(mac, sha256)));
  }
}

let underWay = 0;
const queue: (() => void)[] = [];

/** Waits until fewer machines than `--together` boot, and runs `boot`. */
async function inTurn<Value>(boot: () => Promise<Value>): Promise<Value> {
  if (underWay >= mostTogether) await new Promise<void>((resolve) => queue.push(resolve));
  else underWay++;
  try {
    return await boot();
  } finally {
    const next = queue.shift();
    if (next) next();
    else underWay--;
  }
}

async function failures(outcomes: readonly Outcome[], operator: Operator | null) {
  const failed = outcomes.filter(({ problem }) => problem !== null);
  return Promise.all(
    failed.map(async ({ mac, model, problem }) => {
      const diagnosis = operator === null ? null : await operator.diagnosis(mac, patience);
      return { mac, model, problem, diagnosis };
    }),
  );
}

const { appliance, password } = values;
const operator =
  appliance !== undefined && password !== undefined ? await Operator.login(appliance, password) : null;
if (operator !== null) await boundBy(operator);
const wire = await openWire(values.interface);
const deployed = operator === null ? null : (mac: string) => operator.deployed(mac);
const outcomes = await Promise.all(
  Array.from({ length: count }, async (_, index) => {
    await pause((over * index) / count);
    const model = chosen[index % chosen.length];
    if (model === undefined) throw new Error('there is no model');
    return inTurn(() => bootMachine({ wire, model, index: index + 1, deployed, powerOns }));
  }),
);
wire.close();
const stages = Object.fromEntries(
  [...new Set(outcomes.flatMap((one) => [...one.stages.keys()]))].map((name) => [
    name,
    percentiles(outcomes.flatMap((one) => one.stages.get(name) ?? [])),
  ]),
);
const failed = await failures(outcomes, operator);
process.stdout.write(`${JSON.stringify({ machines: count, failed, stages })}\n`);
process.exitCode = failed.length > 0 ? 1 : 0;
