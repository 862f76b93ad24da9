/**
 * How many machines one appliance on this host boots: `bty-sim` in a network of namespaces of its own, with what the
 * appliance took. Needs root. Writes one line of JSON; exit code 1 when a machine failed.
 */
import { parseArgs } from 'node:util';
import { SimNetwork } from './network.ts';

const usage = `capacity: pretended machines boot from an appliance, both in namespaces of this host.
  --machines COUNT  how many, one model after the other (5000)
  --over MS         milliseconds over which they are switched on (60000)
  --until STAGE     "plan": they get a plan; "deployed": an image is bound to each and written (plan)
`;
const { values } = parseArgs({
  options: {
    machines: { type: 'string', default: '5000' },
    over: { type: 'string', default: '60000' },
    until: { type: 'string', default: 'plan' },
    help: { type: 'boolean' },
  },
});
const [machines, over, { until }] = [Number(values.machines), Number(values.over), values];
if (values.help || !(machines > 0) || !(over >= 0) || (until !== 'plan' && until !== 'deployed')) {
  process.stderr.write(usage);
  process.exit(values.help ? 0 : 2);
}
const network = await SimNetwork.make('full');
try {
  const began = performance.now();
  const { failed, stages } = await network.simulate(machines, over, { until });
  const seconds = Math.round((performance.now() - began) / 100) / 10;
  const appliance = await network.taken();
  const problems: Record<string, number> = {};
  for (const { model, problem } of failed) {
    const name = `${model}: ${problem.replaceAll(/[\d.:/]+/g, '…')}`;
    problems[name] = (problems[name] ?? 0) + 1;
  }
  const report = { machines, over, seconds, failed: failed.length, problems, stages, appliance };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  if (failed.length > 0) process.exitCode = 1;
} finally {
  await network.close();
}
