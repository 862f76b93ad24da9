/** One pretend machine: firmware of a named model from its first DISCOVER to its script, over real sockets. */
import { request } from 'node:http';
import { formatAddress, parseAddress } from '../../dhcp/address.ts';
import { addressIn, byteIn, MessageType, Option, textIn } from '../../dhcp/option.ts';
import { encode, type Packet } from '../../dhcp/packet.ts';
import { fetchTftp } from '../tftp-peer.ts';

/** What firmware says of itself and how it behaves. */
export interface Model {
  readonly name: string;
  readonly architecture: number;
  readonly vendorClass: string;
  /** iPXE from the start: no boot file is loaded. */
  readonly ipxe?: true;
  /** Asks for the size first and breaks off. */
  readonly probes?: true;
  readonly options: readonly (readonly [string, string])[];
  /** Chance from 0 to 1 that a datagram to it is lost. */
  readonly loss?: number;
}

const usual = [
  ['tsize', '0'],
  ['blksize', '1468'],
] as const;
export const models: readonly Model[] = [
  {
    name: 'BIOS ROM',
    architecture: 0,
    vendorClass: 'PXEClient:Arch:00000:UNDI:002001',
    probes: true,
    options: [
      ['tsize', '0'],
      ['blksize', '1456'],
    ],
  },
  {
    name: 'EDK2',
    architecture: 7,
    vendorClass: 'PXEClient:Arch:00007:UNDI:003000',
    probes: true,
    options: [...usual, ['windowsize', '4']],
  },
  {
    name: 'EDK2 old',
    architecture: 7,
    vendorClass: 'PXEClient:Arch:00007:UNDI:003000',
    probes: true,
    options: usual,
  },
  { name: 'no-merge HP', architecture: 7, vendorClass: 'PXEClient:Arch:00007:UNDI:003016', options: usual },
  { name: 'iPXE', architecture: 0, vendorClass: 'PXEClient:Arch:00000:UNDI:002001', ipxe: true, options: [] },
  { name: 'HTTP boot', architecture: 16, vendorClass: 'HTTPClient:Arch:00016:UNDI:003000', options: [] },
  {
    name: 'UDP-lossy',
    architecture: 7,
    vendorClass: 'PXEClient:Arch:00007:UNDI:003000',
    options: usual,
    loss: 0.05,
  },
];

/** Sends DHCP packets as a broadcast, and gives the answers to a transaction. */
export interface Wire {
  send(bytes: Uint8Array): void;
  /** The next answer to `xid`, null when none comes within `milliseconds`. */
  answer(xid: number, milliseconds: number): Promise<Packet | null>;
  /** Makes an address that was leased one from which this host speaks. */
  claim(address: string): Promise<void>;
}

export interface Outcome {
  readonly mac: string;
  readonly model: string;
  /** Milliseconds of each stage that was passed. */
  readonly stages: ReadonlyMap<string, number>;
  /** Why it did not reach its script, null when it did. */
  readonly problem: string | null;
}

const features = Uint8Array.from([0x13, 1, 1, 0x18, 1, 1, 0x24, 1, 1, 0xeb, 3, 1, 21, 1]);
const waits = [4000, 8000, 16_000, 32_000];

interface Offer {
  readonly address: string;
  readonly server: string;
  readonly file: string;
}

class Machine {
  readonly stages = new Map<string, number>();
  readonly #wire: Wire;
  readonly #model: Model;
  readonly #mac: string;

  constructor(wire: Wire, model: Model, mac: string) {
    this.#wire = wire;
    this.#model = model;
    this.#mac = mac;
  }

  async boot(): Promise<void> {
    const started = performance.now();
    const first = await this.#address(this.#model.ipxe === true, '');
    const script = this.#model.ipxe ? first : await this.#load(first);
    await this.#timed('script', () => this.#script(first.address, script.file));
    this.stages.set('whole', performance.now() - started);
  }

  async #load({ address, server, file }: Offer): Promise<Offer> {
    await this.#timed('boot file', async () => {
      if (/^http:/.test(file)) {
        await get(file, address);
        return;
      }
      const place = { address: server, port: 69 };
      const wish = { file, options: this.#model.options };
      const more = { from: address, ...(this.#model.loss === undefined ? {} : { loss: this.#model.loss }) };
      if (this.#model.probes)
        await fetchTftp(place, { ...wish, options: [['tsize', '0']], probe: true }, more);
      const client = await fetchTftp(place, wish, more);
      if (client.state !== 'done') throw new Error(`boot file ${file}: ${client.problem}`);
    });
    return this.#address(true, 'iPXE ');
  }

  async #script(from: string, url: string): Promise<void> {
    const first = await get(url, from);
    if (!first.startsWith('#!ipxe')) throw new Error(`${url} is no script`);
    const own = `${new URL(url).origin}/pxe/${this.#mac.replaceAll(':', '-')}`;
    if (!(await get(own, from)).startsWith('#!ipxe')) throw new Error(`${own} is no script`);
  }

  /** DISCOVER, OFFER, REQUEST, ACK. */
  async #address(ipxe: boolean, label: string): Promise<Offer> {
    const xid = Math.floor(Math.random() * 0xffffffff);
    const offer = await this.#timed(`${label}offer`, () => this.#ask(ipxe, xid, MessageType.discover, []));
    const server = addressIn(offer.options, Option.serverIdentifier) ?? 0;
    const more: [number, Uint8Array][] = [
      [Option.serverIdentifier, bytesOf(server)],
      [Option.requestedAddress, bytesOf(offer.yiaddr)],
    ];
    const ack = await this.#timed(`${label}ack`, () => this.#ask(ipxe, xid, MessageType.request, more));
    if (byteIn(ack.options, Option.messageType) !== MessageType.ack)
      throw new Error('the address was refused');
    const file = ack.file || textIn(ack.options, Option.bootFileName) || '';
    if (file === '') throw new Error('no boot file was named');
    await this.#wire.claim(formatAddress(ack.yiaddr));
    return { address: formatAddress(ack.yiaddr), server: formatAddress(ack.siaddr || server), file };
  }

  async #ask(
    ipxe: boolean,
    xid: number,
    kind: number,
    more: readonly [number, Uint8Array][],
  ): Promise<Packet> {
    const { vendorClass, architecture, loss = 0 } = this.#model;
    for (const [tries, wait] of waits.entries()) {
      const options = new Map<number, Uint8Array>([
        [Option.messageType, Uint8Array.of(kind)],
        ...more,
        [Option.maximumSize, Uint8Array.of(5, 192)],
        [Option.parameterList, Uint8Array.of(1, 3, 6, 43, 54, 60, 66, 67, 97)],
        [Option.vendorClass, Buffer.from(vendorClass)],
        [Option.architecture, Uint8Array.of(architecture >> 8, architecture & 255)],
        ...(ipxe
          ? ([
              [Option.userClass, Buffer.from('iPXE')],
              [Option.ipxe, features],
            ] as const)
          : []),
      ]);
      const chaddr = new Uint8Array(16);
      chaddr.set(Buffer.from(this.#mac.replaceAll(':', ''), 'hex'));
      const packet: Packet = {
        ...{ op: 1, htype: 1, hlen: 6, hops: 0, xid, secs: tries * 4, flags: 0x8000, ciaddr: 0, yiaddr: 0 },
        ...{ siaddr: 0, giaddr: 0, chaddr, sname: '', file: '', options },
      };
      this.#wire.send(encode(packet, { maximum: 1472, overload: false }).bytes);
      const answer = await this.#wire.answer(xid, wait);
      if (answer !== null && Math.random() >= loss) return answer;
    }
    throw new Error(`no answer to DHCP message ${kind}`);
  }

  async #timed<Value>(stage: string, work: () => Promise<Value>): Promise<Value> {
    const from = performance.now();
    const value = await work();
    this.stages.set(stage, performance.now() - from);
    return value;
  }
}

function bytesOf(address: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(address);
  return bytes;
}

function get(url: string, localAddress: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { localAddress, agent: false, timeout: 60_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString('latin1'));
        else reject(new Error(`${url}: status ${response.statusCode}`));
      });
    });
    asked.on('timeout', () => asked.destroy(new Error(`${url}: no answer`)));
    asked.on('error', reject);
    asked.end();
  });
}

/** Boots machine number `index`, as `model`. Never rejects. */
export async function bootMachine(wire: Wire, model: Model, index: number): Promise<Outcome> {
  const tail = (parseAddress('0.0.0.0') ?? 0) + index;
  const mac = `02:5b:${[tail >>> 24, tail >>> 16, tail >>> 8, tail].map((byte) => (byte & 255).toString(16).padStart(2, '0')).join(':')}`;
  const machine = new Machine(wire, model, mac);
  const problem = await machine.boot().then(
    () => null,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  return { mac, model: model.name, stages: machine.stages, problem };
}
