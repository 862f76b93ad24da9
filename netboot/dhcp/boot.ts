/** What a client boots next: the iPXE loop guard, in the order that cannot loop, and the choice of the boot file. */
import { formatAddress, type Ipv4 } from './address.ts';
import { bootFileOf, type Flavor } from './architecture.ts';
import type { Client } from './client.ts';
import type { BootPolicy, Reason, Situation } from './situation.ts';

export type BootChoice =
  /** Nothing to boot for this client. */
  | { readonly kind: 'none'; readonly reasons: readonly Reason[]; readonly loop: boolean }
  /** iPXE that can run our script: its URL. */
  | { readonly kind: 'script'; readonly url: string; readonly reasons: readonly Reason[] }
  /** A boot file by name; `url` when the client is told a whole URL. */
  | {
      readonly kind: 'file';
      readonly file: string;
      readonly url: string | null;
      /** The client is an iPXE that is replaced by ours. */
      readonly chained: boolean;
      readonly reasons: readonly Reason[];
    };

/** More fetches of a boot file than this, without a script asked for in between, are a loop. */
export const mostFetches = 3;
/** In milliseconds: an iPXE that comes back this soon after it was given ours is ours. */
const chainWindow = 120_000;

const reason = (rule: string, text: string): Reason => ({ rule, text });

/** `server`: our address as the client sees it. */
export function chooseBoot(
  client: Client,
  situation: Pick<Situation, 'boot' | 'recall' | 'now'>,
  server: Ipv4,
): BootChoice {
  if (client.kind === 'plain') return notAsked;
  const { boot: policy, now } = situation;
  const memory = situation.recall();
  const host = formatAddress(server);
  const base = policy.httpPort === 80 ? `http://${host}` : `http://${host}:${policy.httpPort}`;
  const script = (why: Reason): BootChoice => ({
    kind: 'script',
    url: `${base}${policy.scriptPath}`,
    reasons: [why],
  });
  const { ipxe } = client;
  if (ipxe?.ours) return script(reason('ipxe-ours', 'user class "bty": our own script asks again'));
  if (ipxe?.capable) {
    return script(reason('ipxe-capable', 'option 175 names the features that our script needs'));
  }
  if (ipxe && memory.chained !== null && now - memory.chained < chainWindow) {
    const seconds = Math.round((now - memory.chained) / 1000);
    return script(reason('ipxe-chained', `this iPXE was started by us ${seconds} s ago: it gets the script`));
  }
  if (memory.fetches > mostFetches) {
    const text = `it fetched a boot file ${memory.fetches} times and never asked for a script: stopped, it would loop`;
    return { kind: 'none', reasons: [reason('loop-stopped', text)], loop: true };
  }
  return chooseFile(client, policy, { base, host });
}

const notAsked = none(
  reason('no-boot', 'the client does not ask to boot (no option 60 of PXE or HTTP boot)'),
);

function none(...reasons: readonly Reason[]): BootChoice {
  return { kind: 'none', reasons, loop: false };
}

function chooseFile(
  client: Client,
  policy: BootPolicy,
  { base, host }: { readonly base: string; readonly host: string },
): BootChoice {
  const { architecture, ipxe } = client;
  const chosen = policy.overrideFor(client);
  const reasons: Reason[] = [];
  let file = chosen?.override.file ?? null;
  if (file !== null && chosen) {
    reasons.push(reason('file-override', `the boot file ${file} is set for ${chosen.from}`));
  }
  if (file === null) {
    if (architecture === null) return none(reason('no-architecture', 'the client does not say what it is'));
    if (architecture.platform === null) {
      return none(reason('no-file', `nothing here boots ${architecture.name}`));
    }
    const flavor: Flavor = chosen?.override.flavor ?? 'snponly';
    file = bootFileOf(architecture.platform, flavor);
    if (chosen?.override.flavor) {
      reasons.push(reason('flavor-override', `the build ${flavor} is set for ${chosen.from}`));
    }
    reasons.push(
      reason('architecture', `architecture ${architecture.code} (${architecture.name}) boots ${file}`),
    );
  }
  if (!policy.has(file)) {
    reasons.push(reason('file-missing', `the boot file ${file} is not here`));
    return none(...reasons);
  }
  if (client.kind === 'http') {
    reasons.push(reason('http-boot', 'HTTP boot: the client gets a whole URL'));
    return { kind: 'file', file, url: `${base}${policy.filePath}${file}`, chained: false, reasons };
  }
  if (ipxe) {
    const lacks = ipxe.told ? 'lacks features that our script needs' : 'does not tell its features';
    reasons.push(reason('ipxe-replaced', `this iPXE ${lacks}: it loads ours by a whole TFTP URL`));
    return { kind: 'file', file, url: `tftp://${host}/${file}`, chained: true, reasons };
  }
  reasons.push(reason('firmware', 'plain firmware: it loads the boot file over TFTP'));
  return { kind: 'file', file, url: null, chained: false, reasons };
}
