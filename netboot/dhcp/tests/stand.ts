/**
 * The DHCP server alone, as a program for tests: JSON lines in (`settings`, `states`, `reserve`, `stop`), JSON lines
 * out. Arguments: path of the journal, first settings as JSON, and what a step or news must hold to be told.
 */
import { createInterface } from 'node:readline';
import type { DhcpReservation, DhcpSettings } from '../../../shared/contract/dhcp.ts';
import { asFailure } from '../../../shared/failure.ts';
import type { Witness } from '../../story/step.ts';
import { DhcpServer } from '../server.ts';
import type { BootPolicy } from '../situation.ts';
import { Store } from '../store.ts';

interface Order {
  readonly settings?: DhcpSettings;
  readonly reserve?: DhcpReservation;
  readonly states?: true;
  readonly stop?: true;
}

const tell = (value: unknown) => void process.stdout.write(`${JSON.stringify(value)}\n`);
const [path = '', first = '{"interfaces":[]}', about = ''] = process.argv.slice(2);
const tellAbout = (value: unknown) => {
  const line = JSON.stringify(value);
  if (line.includes(about)) process.stdout.write(`${line}\n`);
};
const boot: BootPolicy = {
  httpPort: 8080,
  scriptPath: '/pxe-bootstrap.ipxe',
  filePath: '/boot/',
  has: () => true,
  overrideFor: () => null,
};
const told: Witness = { step: (step) => tellAbout({ step }), datagram() {} };
const store = await Store.open(path, { onFailure: (error) => tell({ broken: String(error) }) });
const server = new DhcpServer({
  store,
  boot: () => boot,
  witness: told,
  news: (news) => tellAbout({ news }),
  clock: Date.now,
  watchEvery: 200,
});

async function obey(order: Order): Promise<unknown> {
  try {
    if (order.settings) await server.apply(order.settings);
    if (order.reserve) await store.reserve(order.reserve);
    if (order.stop) {
      await server.close();
      await store.close();
    }
    return { done: server.states(), report: store.report };
  } catch (error) {
    return { failed: asFailure(error).report() };
  }
}

server.start();
tell(await obey({ settings: JSON.parse(first) as DhcpSettings }));
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as Order;
  tell(await obey(order));
  if (order.stop) break;
}
process.exit(0);
