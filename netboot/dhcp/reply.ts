/** Builds replies: fields and options of every message, and where it goes (RFC 2131 table 3, PXE 2.1). */
import type { ReplyForm } from '../story/step.ts';
import { broadcastOf, everyone, formatAddress, type Ipv4, maskOf } from './address.ts';
import type { BootChoice } from './boot.ts';
import type { Client } from './client.ts';
import { shapes } from './form.ts';
import {
  addressBytes,
  longBytes,
  MessageType,
  Option,
  PxeSuboption,
  RelaySuboption,
  routeBytes,
  shortIn,
  suboptions,
  textBytes,
} from './option.ts';
import { broadcastFlag, type Packet } from './packet.ts';
import type { Reply, Subnet } from './situation.ts';

const serverPort = 67;
const clientPort = 68;
/** IP and UDP headers, which option 57 counts. */
const headers = 28;
const leastMaximum = 576;
const mostMaximum = 1500;
const longestFile = 127;
const longestName = 63;

export interface Answer {
  readonly type: 'offer' | 'ack' | 'nak';
  readonly request: Packet;
  readonly client: Client;
  /** Who we are on that network: option 54 and, unless another is named, siaddr. */
  readonly server: Ipv4;
  readonly yiaddr: Ipv4;
  /** Address, mask and so on; null for a proxy and for NAK. */
  readonly network: Network | null;
  readonly boot: BootChoice | null;
  readonly form: ReplyForm;
  readonly message?: string;
}
export interface Network {
  readonly subnet: Subnet;
  /** Seconds; null in the answer to INFORM. */
  readonly lease: number | null;
  readonly hostName: string | null;
}

/** Option 54 as the relay wants it (RFC 5107), else our own address. */
export function serverIdentifier(request: Packet, own: Ipv4): Ipv4 {
  const wanted = suboptions(request.options.get(Option.relayInformation), Option.relayInformation).get(
    RelaySuboption.serverIdentifier,
  );
  return wanted?.length === 4 ? Buffer.from(wanted).readUInt32BE(0) : own;
}

/** Where an answer on port 67 goes. Without raw sockets a client without address is reached by broadcast only. */
function destination(answer: Answer): { address: Ipv4; port: number } {
  const { giaddr, ciaddr } = answer.request;
  if (giaddr !== 0) return { address: giaddr, port: serverPort };
  if (answer.type === 'ack' && ciaddr !== 0) return { address: ciaddr, port: clientPort };
  return { address: everyone, port: clientPort };
}

/** Whether the client asks for option `code`. */
function wants(request: Packet, code: number): boolean {
  return request.options.get(Option.parameterList)?.includes(code) ?? false;
}

function addNetwork(options: Map<number, Uint8Array>, answer: Answer, { subnet, lease, hostName }: Network) {
  const { request } = answer;
  if (lease !== null) {
    options.set(Option.leaseTime, longBytes(lease));
    options.set(Option.renewalTime, longBytes(Math.floor(lease / 2)));
    options.set(Option.rebindingTime, longBytes(Math.floor(lease * 0.875)));
  }
  options.set(Option.subnetMask, addressBytes(maskOf(subnet.block.prefix)));
  const [router] = subnet.routers;
  // RFC 3442: who gets option 121 ignores option 3, so the default route is in it as well.
  if (wants(request, Option.classlessRoutes) && subnet.routes.length > 0) {
    const byRouter = router === undefined ? [] : [{ network: 0, prefix: 0, gateway: router }];
    options.set(Option.classlessRoutes, routeBytes([...subnet.routes, ...byRouter]));
  }
  if (subnet.routers.length > 0) options.set(Option.router, addressBytes(...subnet.routers));
  if (subnet.nameServers.length > 0) {
    options.set(Option.domainNameServer, addressBytes(...subnet.nameServers));
  }
  if (subnet.domain !== null) options.set(Option.domainName, textBytes(subnet.domain));
  if (wants(request, Option.broadcastAddress)) {
    options.set(Option.broadcastAddress, addressBytes(broadcastOf(subnet.block)));
  }
  if (wants(request, Option.ntpServers) && subnet.timeServers.length > 0) {
    options.set(Option.ntpServers, addressBytes(...subnet.timeServers));
  }
  if (hostName !== null) options.set(Option.hostName, textBytes(hostName));
}

/** Name or URL that the client is to load. */
export function bootTarget(boot: BootChoice | null): string | null {
  if (boot === null || boot.kind === 'none') return null;
  return boot.kind === 'script' ? boot.url : (boot.url ?? boot.file);
}

/** Option 43: discovery control 8, and the boot item that was asked for, with the end mark that some ROMs need. */
function vendorSpecific(request: Packet, control: boolean): Uint8Array | null {
  const item = suboptions(request.options.get(Option.vendorSpecific), Option.vendorSpecific).get(
    PxeSuboption.bootItem,
  );
  const parts: number[] = control ? [PxeSuboption.discoveryControl, 1, 8] : [];
  if (item?.length === 4) parts.push(PxeSuboption.bootItem, 4, ...item);
  return parts.length === 0 ? null : Uint8Array.of(...parts, 255);
}

function addBoot(options: Map<number, Uint8Array>, answer: Answer, target: string): { file: string } {
  const { request, client, form, server } = answer;
  const shape = shapes[form];
  options.set(Option.vendorClass, textBytes(client.kind === 'http' ? 'HTTPClient' : 'PXEClient'));
  const machine = request.options.get(Option.machineIdentifier);
  if (machine !== undefined) options.set(Option.machineIdentifier, machine);
  const special = vendorSpecific(request, shape.control);
  if (special !== null) options.set(Option.vendorSpecific, special);
  const inHeader = shape.header && target.length <= longestFile;
  const inOptions = shape.options === 'always' || !inHeader;
  if (client.kind !== 'http' && (inOptions || wants(request, Option.tftpServerName))) {
    options.set(Option.tftpServerName, textBytes(formatAddress(server)));
  }
  if (inOptions || wants(request, Option.bootFileName)) options.set(Option.bootFileName, textBytes(target));
  // With an address from us iPXE need not wait two seconds for a proxy.
  if (client.ipxe && answer.network) options.set(Option.ipxe, Uint8Array.of(0xb0, 1, 1));
  return { file: inHeader ? target : '' };
}

export function reply(answer: Answer): Reply {
  const { request, type, client } = answer;
  const server = serverIdentifier(request, answer.server);
  const options = new Map<number, Uint8Array>([
    [Option.messageType, Uint8Array.of(MessageType[type])],
    [Option.serverIdentifier, addressBytes(server)],
  ]);
  // RFC 6842: the client identifier is returned, also in a NAK.
  const identifier = request.options.get(Option.clientIdentifier);
  if (identifier !== undefined) options.set(Option.clientIdentifier, identifier);
  const target = type === 'nak' ? null : bootTarget(answer.boot);
  let file = '';
  if (target !== null) file = addBoot(options, answer, target).file;
  if (answer.network) addNetwork(options, answer, answer.network);
  if (answer.message !== undefined) options.set(Option.message, textBytes(answer.message));
  for (const code of [Option.subnetSelection, Option.relayInformation]) {
    const value = request.options.get(code);
    if (value !== undefined) options.set(code, value);
  }
  const nakByRelay = type === 'nak' && request.giaddr !== 0;
  const packet: Packet = {
    op: 2,
    htype: request.htype,
    hlen: request.hlen,
    hops: 0,
    xid: request.xid,
    secs: 0,
    flags: nakByRelay ? request.flags | broadcastFlag : request.flags,
    ciaddr: type === 'ack' ? request.ciaddr : 0,
    yiaddr: answer.yiaddr,
    siaddr: target === null ? 0 : answer.server,
    giaddr: request.giaddr,
    chaddr: request.chaddr,
    sname: target === null ? '' : formatAddress(answer.server).slice(0, longestName),
    file,
    options,
  };
  const told = shortIn(request.options, Option.maximumSize) ?? leastMaximum;
  return {
    packet,
    to: destination(answer),
    from: answer.server,
    maximum: Math.min(Math.max(told, leastMaximum), mostMaximum) - headers,
    overload: client.kind === 'plain' && target === null,
    form: answer.form,
    bootFile: target,
  };
}
