/** The whole of RFC 2131 for one packet: addresses, leases, and what to boot. */
import { formatAddress, holds, type Ipv4, isHost } from './address.ts';
import { leaseKey } from './client.ts';
import type { Lease } from './lease.ts';
import { addressIn, longIn, MessageType, Option, RelaySuboption, suboptions } from './option.ts';
import { reply, serverIdentifier } from './reply.ts';
import type { Decision, Subnet } from './situation.ts';
import { ownAddress, type Thought } from './thought.ts';

/** In milliseconds: how long an offer is held, and how long an address that somebody else uses is avoided. */
export const offerHold = 30_000;
export const quarantine = 3_600_000;
const leastLease = 60;

/** RFC 3011 before RFC 3527 before giaddr before the interface. */
function linkOf(thought: Thought): { link: Ipv4; told: string } | null {
  const { packet, situation } = thought;
  const selected = addressIn(packet.options, Option.subnetSelection);
  if (selected !== null) return { link: selected, told: 'option 118' };
  const relayed = suboptions(packet.options.get(Option.relayInformation), Option.relayInformation).get(
    RelaySuboption.linkSelection,
  );
  if (packet.giaddr !== 0 && relayed?.length === 4) {
    return { link: Buffer.from(relayed).readUInt32BE(0), told: "the relay's link selection" };
  }
  if (packet.giaddr !== 0) return { link: packet.giaddr, told: 'the relay' };
  const first = situation.place.addresses[0]?.address;
  return first === undefined ? null : { link: first, told: 'the interface' };
}

interface Case {
  readonly thought: Thought;
  readonly subnet: Subnet;
  readonly key: string;
  readonly server: Ipv4;
}

export function decideFull(thought: Thought, type: number): Decision {
  const { situation, client } = thought;
  const { place } = situation;
  const found = linkOf(thought);
  const subnet = found && place.subnets.find(({ block }) => holds(block, found.link));
  if (!found || !subnet) {
    const where = found === null ? 'nowhere' : `${formatAddress(found.link)} (${found.told})`;
    return thought.silent('no-subnet', `no subnet is set up for ${where}`);
  }
  const key = leaseKey(client, place.leaseBy);
  if (key === null) return thought.silent('no-identity', 'neither a hardware address nor an identifier');
  const server = ownAddress(situation, found.link) ?? 0;
  const it: Case = { thought, subnet, key, server };
  switch (type) {
    case MessageType.discover:
      return discover(it);
    case MessageType.request:
      return request(it);
    case MessageType.decline:
      return decline(it);
    case MessageType.release:
      return release(it);
    case MessageType.inform:
      return inform(it);
    default:
      return thought.silent('not-for-servers', `message type ${type} comes from servers`);
  }
}

/** Null when the client may have `address`, else why not. */
function refusal(it: Case, address: Ipv4): string | null {
  const { thought, subnet, key } = it;
  const { leases, now, place } = thought.situation;
  const text = formatAddress(address);
  if (!isHost(subnet.block, address)) return `${text} is not in this network`;
  if (place.addresses.some((own) => own.address === address)) return `${text} is our own`;
  const reserved = thought.client.mac === null ? null : leases.reservationOf(thought.client.mac);
  if (reserved && holds(subnet.block, reserved.address) && reserved.address !== address) {
    return `${formatAddress(reserved.address)} is reserved for this machine`;
  }
  const other = leases.reservedAt(address);
  if (other && other !== reserved) return `${text} is reserved for ${other.mac}`;
  const lease = leases.at(address);
  if (lease && lease.key !== key && lease.expires > now) {
    return lease.state === 'declined'
      ? `${text} is used by an unknown machine`
      : `${text} is leased to another`;
  }
  if (!reserved && !subnet.pools.some(([first, last]) => address >= first && address <= last)) {
    return `${text} is in no pool`;
  }
  return null;
}

/** Address for this client, first what it has or had (RFC 2131 4.3.1), else null. */
function pick(it: Case): { address: Ipv4; rule: string; text: string; known: boolean } | null {
  const { thought, subnet, key } = it;
  const { leases, now, place } = thought.situation;
  const { mac } = thought.client;
  const reserved = mac === null ? null : leases.reservationOf(mac);
  if (reserved && refusal(it, reserved.address) === null) {
    const text = `${formatAddress(reserved.address)} is reserved for ${mac}`;
    return { address: reserved.address, rule: 'reserved', text, known: true };
  }
  const last = leases.ofClient(key);
  if (last && refusal(it, last.address) === null) {
    const bound = last.state === 'bound' && last.expires > now;
    const text = `${formatAddress(last.address)} ${bound ? 'is' : 'was'} its address`;
    return { address: last.address, rule: 'same-again', text, known: bound };
  }
  const wanted = addressIn(thought.packet.options, Option.requestedAddress);
  if (wanted !== null && refusal(it, wanted) === null) {
    const text = `${formatAddress(wanted)} is asked for and free`;
    return { address: wanted, rule: 'requested', text, known: false };
  }
  const own = place.addresses.map(({ address }) => address);
  const free = leases.free(subnet, now, own);
  if (free === null) return null;
  return { address: free, rule: 'free', text: `${formatAddress(free)} is free`, known: false };
}

function leaseOf(it: Case, address: Ipv4, state: Lease['state'], milliseconds: number): Lease {
  const { client, situation } = it.thought;
  const before = situation.leases.at(address);
  const continues = before?.key === it.key && before.state === 'bound' && state === 'bound';
  return {
    address,
    state,
    key: it.key,
    mac: client.mac,
    uuid: client.uuid ?? (before?.key === it.key ? before.uuid : null),
    hostName: client.hostName,
    vendorClass: client.vendorClass?.slice(0, 128) ?? null,
    interface: situation.place.name,
    since: continues ? before.since : situation.now,
    expires: situation.now + milliseconds,
  };
}

function leaseSeconds(it: Case): number {
  const wanted = longIn(it.thought.packet.options, Option.leaseTime);
  const most = it.subnet.leaseSeconds;
  return wanted === null ? most : Math.max(Math.min(wanted, most), Math.min(leastLease, most));
}

function answer(
  it: Case,
  type: 'offer' | 'ack',
  address: Ipv4,
  moves: boolean,
  probe: Ipv4 | null,
): Decision {
  const { thought, subnet, server } = it;
  const { client, packet, situation } = thought;
  const { choice, form } = thought.boot('full', server, moves);
  const reserved = client.mac === null ? null : situation.leases.reservationOf(client.mac);
  const network = { subnet, lease: leaseSeconds(it), hostName: reserved?.hostName ?? null };
  const built = reply({
    type,
    request: packet,
    client,
    server,
    yiaddr: address,
    network,
    boot: choice,
    form,
  });
  return thought.finish(built, probe);
}

function discover(it: Case): Decision {
  const { thought } = it;
  const picked = pick(it);
  if (!picked) {
    const text = `every address of ${formatAddress(it.subnet.block.network)}/${it.subnet.block.prefix} is taken`;
    thought.alarm = { kind: 'pool-empty', text };
    return thought.silent('pool-empty', text);
  }
  thought.because(picked.rule, picked.text);
  const held = thought.situation.leases.at(picked.address);
  const isBound = held?.key === it.key && held.state === 'bound' && held.expires > thought.situation.now;
  if (!isBound) {
    thought.changes.push({ kind: 'lease', lease: leaseOf(it, picked.address, 'offered', offerHold) });
  }
  return answer(it, 'offer', picked.address, true, picked.known ? null : picked.address);
}

function grant(it: Case, address: Ipv4, rule: string, text: string): Decision {
  it.thought.because(rule, text);
  const lease = leaseOf(it, address, 'bound', leaseSeconds(it) * 1000);
  it.thought.changes.push({ kind: 'lease', lease });
  return answer(it, 'ack', address, false, null);
}

function refuse(it: Case, text: string): Decision {
  const { thought, server } = it;
  const { packet, client } = thought;
  thought.because('nak', text);
  const built = reply({
    type: 'nak',
    request: packet,
    client,
    server,
    yiaddr: 0,
    network: null,
    boot: null,
    form: 'address-only',
    message: text,
  });
  return thought.finish(built);
}

function request(it: Case): Decision {
  const { thought, key, server } = it;
  const { packet, situation } = thought;
  const { leases, place, now } = situation;
  const chosen = addressIn(packet.options, Option.serverIdentifier);
  const wanted = addressIn(packet.options, Option.requestedAddress);
  if (chosen !== null && chosen !== serverIdentifier(packet, server) && !isOwn(it, chosen)) {
    thought.foreign = chosen;
    const offered = leases.ofClient(key);
    if (offered?.state === 'offered') {
      thought.changes.push({ kind: 'withdraw', address: offered.address });
    }
    return thought.silent('other-server', `the client took the offer of ${formatAddress(chosen)}`);
  }
  const address = packet.ciaddr !== 0 ? packet.ciaddr : wanted;
  if (address === null || address === 0) return thought.silent('no-address', 'the REQUEST names no address');
  const text = formatAddress(address);
  const problem = refusal(it, address);
  if (chosen !== null) {
    return problem === null
      ? grant(it, address, 'selecting', `the client takes ${text} from us`)
      : refuse(it, problem);
  }
  const how = packet.ciaddr === 0 ? 'init-reboot' : situation.unicast === false ? 'rebinding' : 'renewing';
  const mine = leases.ofClient(key);
  const isMine = mine?.address === address && mine.state === 'bound' && mine.expires > now;
  if (problem === null && isMine) return grant(it, address, how, `${how}: ${text} is its address`);
  if (!place.authoritative) {
    return thought.silent(
      'not-authoritative',
      `${how}: ${text} is not known here, another server may know it`,
    );
  }
  if (problem === null) {
    return grant(
      it,
      address,
      how,
      `${how}: ${text} is not on record, free, and this server is authoritative`,
    );
  }
  return refuse(it, problem);
}

function isOwn(it: Case, address: Ipv4): boolean {
  return it.thought.situation.place.addresses.some((own) => own.address === address);
}

/** DECLINE and RELEASE count only from who holds the address, to the server that gave it. */
function held(it: Case, address: Ipv4 | null): Lease | string {
  const { thought, key, server } = it;
  const chosen = addressIn(thought.packet.options, Option.serverIdentifier);
  if (chosen !== null && chosen !== serverIdentifier(thought.packet, server) && !isOwn(it, chosen)) {
    return `it is for the server ${formatAddress(chosen)}`;
  }
  const lease = address === null ? null : thought.situation.leases.at(address);
  if (!lease || lease.key !== key || lease.state === 'declined') return "the address is not this client's";
  return lease;
}

function decline(it: Case): Decision {
  const { thought } = it;
  const lease = held(it, addressIn(thought.packet.options, Option.requestedAddress));
  if (typeof lease === 'string') return thought.silent('decline-ignored', `DECLINE ignored: ${lease}`);
  const { now } = thought.situation;
  const text = `${formatAddress(lease.address)} is used by another machine, says ${lease.mac ?? lease.key}`;
  thought.alarm = { kind: 'declined', text };
  const state = 'declined' as const;
  const bad = { ...lease, state, key: '', since: now, expires: now + quarantine };
  thought.changes.push({ kind: 'lease', lease: bad });
  return thought.silent('declined', `${text}: it is not given out for an hour`);
}

function release(it: Case): Decision {
  const { thought } = it;
  const lease = held(it, thought.packet.ciaddr);
  if (typeof lease === 'string') return thought.silent('release-ignored', `RELEASE ignored: ${lease}`);
  const { now } = thought.situation;
  thought.changes.push({ kind: 'lease', lease: { ...lease, state: 'released', expires: now } });
  return thought.silent('released', `${formatAddress(lease.address)} is given back`);
}

function inform(it: Case): Decision {
  const { thought, subnet, server } = it;
  const { packet, client } = thought;
  if (packet.ciaddr === 0) return thought.silent('inform-without-address', 'INFORM without ciaddr');
  if (!isHost(subnet.block, packet.ciaddr)) {
    return thought.silent('inform-elsewhere', `${formatAddress(packet.ciaddr)} is not in this network`);
  }
  thought.because('inform', 'the client has its address and asks for the rest');
  const { choice, form } = thought.boot('full', server, false);
  const network = { subnet, lease: null, hostName: null };
  const built = reply({
    type: 'ack',
    request: packet,
    client,
    server,
    yiaddr: 0,
    network,
    boot: choice,
    form,
  });
  return thought.finish(built);
}
