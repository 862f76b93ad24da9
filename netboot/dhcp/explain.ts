/** What a client that is not there would be answered: the very decision, on a packet made up for it. */
import type { DhcpExplanation, DhcpQuestion } from '../../shared/contract/dhcp.ts';
import { formatAddress, parseHardware } from './address.ts';
import { architectureOf } from './architecture.ts';
import { describe } from './describe.ts';
import type { LeaseView } from './lease.ts';
import type { Memory } from './memory.ts';
import { decide } from './offer.ts';
import { IpxeSuboption, MessageType, Option, textBytes } from './option.ts';
import { encode, type Packet, parse } from './packet.ts';
import type { BootPolicy, Place } from './situation.ts';

const featureCodes = {
  http: IpxeSuboption.http,
  bzimage: IpxeSuboption.bzImage,
  efi: IpxeSuboption.efi,
} as const;
/** What iPXE of the distributions can do. */
const usualFeatures = ['http', 'bzimage', 'efi'] as const;

/** The packet that such a client sends. */
export function questionPacket(question: DhcpQuestion): Packet {
  const mac = parseHardware(question.mac) ?? new Uint8Array(6);
  const chaddr = new Uint8Array(16);
  chaddr.set(mac);
  const type = question.message === '4011' ? MessageType.request : MessageType.discover;
  const options = new Map<number, Uint8Array>([
    [Option.messageType, Uint8Array.of(type)],
    [Option.parameterList, Uint8Array.of(1, 3, 6, 15, 43, 54, 60, 66, 67, 97)],
    [Option.maximumSize, Uint8Array.of(5, 0xc0)],
  ]);
  const { arch, userClass } = question;
  if (arch !== undefined) {
    options.set(Option.architecture, Uint8Array.of(arch >> 8, arch & 255));
    options.set(Option.networkInterface, Uint8Array.of(1, 3, 16));
    const kind = architectureOf(arch).firmware === 'http' ? 'HTTPClient' : 'PXEClient';
    const usual = `${kind}:Arch:${String(arch).padStart(5, '0')}:UNDI:003016`;
    options.set(Option.vendorClass, textBytes(question.vendorClass ?? usual));
  } else if (question.vendorClass !== undefined) {
    options.set(Option.vendorClass, textBytes(question.vendorClass));
  }
  if (userClass !== undefined) options.set(Option.userClass, textBytes(userClass));
  const features = question.features ?? (userClass === 'iPXE' ? usualFeatures : null);
  if (features) {
    options.set(Option.ipxe, Uint8Array.from(features.flatMap((name) => [featureCodes[name], 1, 1])));
  }
  const zero = { hops: 0, secs: 0, ciaddr: 0, yiaddr: 0, siaddr: 0, giaddr: 0, sname: '', file: '' };
  const packet: Packet = { ...zero, op: 1, htype: 1, hlen: 6, xid: 1, flags: 0x8000, chaddr, options };
  // Through the codec, so that what is explained is what would be read from a wire.
  const read = parse(encode(packet, { maximum: 1472, overload: false }).bytes);
  return read.kind === 'packet' ? read.packet : packet;
}

export interface World {
  readonly places: readonly Place[];
  readonly leases: LeaseView;
  readonly memory: Memory;
  readonly boot: BootPolicy;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** The answer on every interface, or on the one named. Changes nothing. */
export function explain(question: DhcpQuestion, world: World): DhcpExplanation[] {
  const packet = questionPacket(question);
  return world.places
    .filter(({ name }) => question.interface === undefined || name === question.interface)
    .map((place) => {
      const { leases, boot, now, memory } = world;
      const vendorClass = packet.options.get(Option.vendorClass);
      const known = memory.view(
        question.mac,
        vendorClass ? Buffer.from(vendorClass).toString('latin1') : null,
        now,
      );
      const decision = decide(packet, {
        now,
        place,
        port: question.message === '4011' ? 4011 : 67,
        from: { address: 0, port: question.message === '4011' ? 4011 : 68 },
        unicast: question.message === '4011',
        leases,
        boot,
        recall: () => known,
      });
      const { reply } = decision;
      const sent = reply && parse(encode(reply.packet, reply).bytes);
      return {
        interface: place.name,
        mode: place.mode,
        question: describe(packet),
        answer: sent?.kind === 'packet' ? describe(sent.packet) : null,
        to: reply && `${formatAddress(reply.to.address)}:${reply.to.port}`,
        form: reply?.form ?? null,
        reasons: [...decision.reasons],
      };
    });
}

/** The explanation as a person reads it. */
export function explanationText(one: DhcpExplanation): string {
  const why = one.reasons.map(({ rule, text }, index) => `  ${index + 1}. ${text} [${rule}]`);
  const indented = (text: string) => text.replaceAll(/^/gm, '  ');
  const answer =
    one.answer === null ? ['No answer.'] : [`Answered to ${one.to}, form ${one.form}:`, indented(one.answer)];
  return [`On ${one.interface} (${one.mode}):`, indented(one.question), ...answer, 'Because:', ...why].join(
    '\n',
  );
}
