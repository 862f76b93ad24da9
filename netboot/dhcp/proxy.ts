/** Boot information beside another DHCP server: PXE 2.1's proxyDHCP on port 67, and the boot server on port 4011. */
import { formatAddress, holds, type Ipv4 } from './address.ts';
import { addressIn, MessageType, Option } from './option.ts';
import { reply } from './reply.ts';
import type { Decision } from './situation.ts';
import { ownAddress, type Thought } from './thought.ts';

export function decideProxy(thought: Thought, type: number): Decision {
  const { packet, situation, client } = thought;
  if (client.kind === 'plain') {
    return thought.silent('not-booting', 'a proxy answers only who asks to boot (option 60)');
  }
  const elsewhere = elsewhereOf(thought);
  if (elsewhere !== null) {
    const text = `${formatAddress(elsewhere)} is in no network that is served here`;
    return thought.silent('elsewhere', text);
  }
  const near = packet.giaddr !== 0 ? packet.giaddr : packet.ciaddr;
  const server = ownAddress(situation, near) ?? 0;
  const chosen = addressIn(packet.options, Option.serverIdentifier);
  const own = situation.place.addresses.some(({ address }) => address === chosen);
  if (situation.port === 4011) {
    return bootServer(thought, type, server, chosen === null || own || situation.unicast !== false);
  }
  switch (type) {
    case MessageType.discover: {
      thought.because('proxy', 'a DISCOVER that asks to boot, beside another DHCP server');
      const { choice, form } = thought.boot('proxy', server, true);
      if (choice.kind === 'none') return thought.finish(null);
      const answer = { request: packet, client, server, boot: choice, form } as const;
      return thought.finish(reply({ ...answer, type: 'offer', yiaddr: 0, network: null }));
    }
    case MessageType.request: {
      // ROMs broadcast the REQUEST for the real server: whoever answers it too breaks the boot.
      if (chosen === null) {
        return thought.silent(
          'request-renews',
          'the REQUEST names no server: it is for who leased the address',
        );
      }
      if (!own) {
        thought.foreign = chosen;
        return thought.silent('request-foreign', `the REQUEST is for the server ${formatAddress(chosen)}`);
      }
      thought.because('proxy-request', 'the REQUEST names us: answered without an address');
      const { choice, form } = thought.boot('proxy', server, false);
      if (choice.kind === 'none') return thought.finish(null);
      const answer = { request: packet, client, server, boot: choice, form } as const;
      return thought.finish(reply({ ...answer, type: 'ack', yiaddr: 0, network: null }));
    }
    default:
      return thought.silent('not-for-proxy', 'a proxy leases no addresses');
  }
}

/**
 * Address outside of every network that is known here which the answer would go to, or null. Anybody can write one into
 * a packet, so that we would send to strangers.
 */
function elsewhereOf({ packet, situation }: Thought): Ipv4 | null {
  const { place, port, from } = situation;
  const target = port === 4011 ? from.address : packet.giaddr === 0 ? packet.ciaddr : 0;
  const isKnown =
    target === 0 ||
    place.addresses.some(({ block }) => holds(block, target)) ||
    place.subnets.some(({ block }) => holds(block, target));
  return isKnown ? null : target;
}

/** The second step: the client asks port 4011 for its boot file and is answered where it asks from. */
function bootServer(thought: Thought, type: number, server: number, ours: boolean): Decision {
  const { packet, client, situation } = thought;
  if (type !== MessageType.request && type !== MessageType.inform) {
    return thought.silent('not-for-4011', 'port 4011 answers REQUEST and INFORM only');
  }
  if (!ours) return thought.silent('other-boot-server', 'the REQUEST on port 4011 names another server');
  thought.because('boot-server', 'the boot server on port 4011 is asked');
  const mode = situation.place.mode === 'full' ? 'full' : 'proxy';
  const { choice, form: tried } = thought.boot(mode, server, false);
  if (choice.kind === 'none') return thought.finish(null);
  // Who asks here has its address; the discovery control would send it here again.
  const form =
    tried === 'http' ? 'http' : client.architecture?.firmware === 'bios' ? 'proxy-43' : 'proxy-4011';
  const built = reply({
    request: packet,
    client,
    server,
    boot: choice,
    form,
    type: 'ack',
    yiaddr: 0,
    network: null,
  });
  return thought.finish({ ...built, to: situation.from });
}
