/** Packets and decisions as steps of the boot story. */
import type { Firmware, RequestKind, StepNews } from '../story/step.ts';
import { formatAddress, type Ipv4 } from './address.ts';
import type { Client } from './client.ts';
import { addressIn, byteIn, longIn, MessageType, Option, textIn } from './option.ts';
import type { Packet } from './packet.ts';
import type { Decision, Situation } from './situation.ts';

function firmwareOf(client: Client): Firmware {
  return {
    architecture: client.architecture?.code ?? null,
    vendorClass: client.vendorClass,
    userClass: client.userClasses[0] ?? null,
    uuid: client.uuid,
  };
}

const shown = (address: Ipv4 | null): string | null => (address === null ? null : formatAddress(address));

function requestKind(packet: Packet, situation: Situation): RequestKind {
  if (packet.options.has(Option.serverIdentifier)) return 'selecting';
  if (packet.ciaddr === 0) return 'init-reboot';
  return situation.unicast === false ? 'rebinding' : 'renewing';
}

/** What came in, or null for what the story has no step for. */
function received(packet: Packet, situation: Situation, client: Client): StepNews | null {
  const chosen = addressIn(packet.options, Option.serverIdentifier);
  const wanted = addressIn(packet.options, Option.requestedAddress);
  switch (byteIn(packet.options, Option.messageType)) {
    case MessageType.discover: {
      const relay = packet.giaddr === 0 ? null : formatAddress(packet.giaddr);
      return { kind: 'discover', seconds: packet.secs, relay, ...firmwareOf(client) };
    }
    case MessageType.request:
      if (situation.port === 4011) return { kind: 'boot-server-request', ...firmwareOf(client) };
      return {
        kind: 'request',
        request: requestKind(packet, situation),
        server: shown(chosen),
        ours: situation.place.addresses.some(({ address }) => address === chosen),
        wanted: shown(packet.ciaddr !== 0 ? packet.ciaddr : wanted),
      };
    case MessageType.decline:
      return wanted === null ? null : { kind: 'decline', declined: formatAddress(wanted) };
    case MessageType.release:
      return { kind: 'release', released: formatAddress(packet.ciaddr) };
    case MessageType.inform:
      if (situation.port === 4011) return { kind: 'boot-server-request', ...firmwareOf(client) };
      return { kind: 'inform' };
    default:
      return null;
  }
}

function answered(decision: Decision, situation: Situation): StepNews | null {
  const { reply, reasons } = decision;
  const texts = reasons.map(({ text }) => text);
  const last = reasons.at(-1);
  if (reply === null) return { kind: 'ignored', message: last?.text ?? 'no answer', reasons: texts };
  const server = formatAddress(reply.from);
  const { packet, bootFile, form } = reply;
  if (situation.port === 4011) return { kind: 'boot-server-reply', server, bootFile, reasons: texts };
  switch (byteIn(packet.options, Option.messageType)) {
    case MessageType.offer: {
      const offered = packet.yiaddr === 0 ? null : formatAddress(packet.yiaddr);
      const rule = last?.rule ?? '';
      return { kind: 'offer', form, server, offered, bootFile, rule, reasons: texts };
    }
    case MessageType.ack: {
      const assigned = formatAddress(packet.yiaddr !== 0 ? packet.yiaddr : packet.ciaddr);
      const leaseSeconds = longIn(packet.options, Option.leaseTime) ?? 0;
      return { kind: 'ack', server, assigned, leaseSeconds, bootFile };
    }
    default:
      return { kind: 'nak', server, reason: textIn(packet.options, Option.message) ?? '' };
  }
}

/** The steps that this packet and its decision make, in order. `beside`: another DHCP server that was seen here. */
export function stepsOf(
  packet: Packet,
  decision: Decision,
  situation: Situation,
  beside: string | null = null,
): readonly StepNews[] {
  if (packet.op !== 1) {
    const isOffer = byteIn(packet.options, Option.messageType) === MessageType.offer;
    return isOffer && decision.foreign !== null
      ? [{ kind: 'foreign-offer', server: formatAddress(decision.foreign) }]
      : [];
  }
  const came = received(packet, situation, decision.client);
  if (came === null) return [];
  // Releases and declines are never answered: that is no news.
  const silent = came.kind === 'release' || came.kind === 'decline';
  const went = silent ? null : answered(decision, situation);
  if (went === null) return [came];
  return [came, went.kind === 'offer' && beside !== null ? { ...went, beside } : went];
}
