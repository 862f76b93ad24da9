/** From a packet and its situation to a decision with its reasons: no sockets, no clock. */
import { formatAddress, holds } from './address.ts';
import { typeName } from './describe.ts';
import { decideFull } from './full.ts';
import { addressIn, byteIn, MessageType, Option } from './option.ts';
import type { Packet } from './packet.ts';
import { decideProxy } from './proxy.ts';
import type { Decision, Situation } from './situation.ts';
import { Thought } from './thought.ts';

/** Relays are believed when their address is in a network we know, or when they are listed. */
function relayRefusal(packet: Packet, { place }: Situation): string | null {
  const { giaddr } = packet;
  if (giaddr === 0) return null;
  const text = formatAddress(giaddr);
  if (place.addresses.some(({ address }) => address === giaddr))
    return `the relay ${text} has our own address`;
  const known =
    place.relays.includes(giaddr) ||
    place.subnets.some(({ block }) => holds(block, giaddr)) ||
    place.addresses.some(({ block }) => holds(block, giaddr));
  return known ? null : `the relay ${text} is in no network that is served here`;
}

/** Decides on one packet that came in. */
export function decide(packet: Packet, situation: Situation): Decision {
  const thought = new Thought(packet, situation);
  const { place } = situation;
  if (packet.op !== 1) {
    const server = addressIn(packet.options, Option.serverIdentifier);
    const own = place.addresses.some(({ address }) => address === server);
    if (server !== null && !own) thought.foreign = server;
    return thought.silent('not-a-request', `${typeName(packet)} of a server is not for us`);
  }
  if (place.mode === 'off') return thought.silent('off', `DHCP is off on ${place.name}`);
  if (place.addresses.length === 0) {
    return thought.silent('no-address', `${place.name} has no IPv4 address to answer from`);
  }
  const refusal = relayRefusal(packet, situation);
  if (refusal !== null) return thought.silent('relay-unknown', refusal);
  const type = byteIn(packet.options, Option.messageType);
  if (type === null) return thought.silent('bootp', 'BOOTP without a DHCP message type is not served');
  const known: readonly number[] = Object.values(MessageType);
  if (!known.includes(type)) return thought.silent('type-unknown', `${typeName(packet)} is not served`);
  return place.mode === 'proxy' || situation.port === 4011
    ? decideProxy(thought, type)
    : decideFull(thought, type);
}
