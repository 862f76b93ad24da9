/** Why a boot stopped, in plain words, from its steps alone. Pure. */
import { type Boot, isIpxe, reached, wantsBoot } from './boot.ts';
import type { Step, StepKind, StepOf } from './step.ts';

export interface Diagnosis {
  readonly state: 'running' | 'done' | 'stopped' | 'failed';
  /** Names the case for programs, as `offers-not-merged`. */
  readonly code: string;
  /** What happened, as one sentence. */
  readonly cause: string;
  /** What to do; empty while it runs and when it is done. */
  readonly advice: string;
}

/** Silence in milliseconds after which a boot counts as stopped, by what is waited for. */
const waits = { firmware: 20_000, loaded: 45_000, kernel: 180_000, agent: 120_000 } as const;

class Facts {
  readonly boot: Boot;
  constructor(boot: Boot) {
    this.boot = boot;
  }
  all<Kind extends StepKind>(kind: Kind): StepOf<Kind>[] {
    return this.boot.steps.filter((step): step is StepOf<Kind> => step.kind === kind);
  }
  has(kind: StepKind): boolean {
    return this.boot.steps.some((step) => step.kind === kind);
  }
  last<Kind extends StepKind>(kind: Kind): StepOf<Kind> | undefined {
    return this.all(kind).at(-1);
  }
  /** The failure that the boot ended with; none where another try went on after it. */
  failure(): StepOf<'failed'> | undefined {
    const failed = this.last('failed');
    const goesOn = ({ kind }: Step) => another.has(kind);
    if (!failed || this.boot.steps.slice(this.boot.steps.indexOf(failed)).some(goesOn)) return undefined;
    return failed;
  }
}

/** Steps of a live system that is at work: it does not ask while it waits for what to do after a failure. */
const another: ReadonlySet<StepKind> = new Set<StepKind>(['plan', 'write', 'verify', 'done']);

const running = (cause: string): Diagnosis => ({ state: 'running', code: 'running', cause, advice: '' });
const done = (code: string, cause: string): Diagnosis => ({ state: 'done', code, cause, advice: '' });
const stopped = (code: string, cause: string, advice: string): Diagnosis => {
  return { state: 'stopped', code, cause, advice };
};

/** What became of `boot`, as seen at `now` (milliseconds since 1970). */
export function diagnose(boot: Boot, now: number): Diagnosis {
  const facts = new Facts(boot);
  const failed = facts.failure();
  if (failed) {
    const advice = 'Read the cause; the machine page and the events say more.';
    return { state: 'failed', code: 'failed', cause: `${failed.step}: ${failed.cause}`, advice };
  }
  if (facts.has('alive')) return done('alive', 'The installed system runs.');
  const local = facts.last('local-boot');
  if (local) return done('local-boot', `It was told to boot its disk (${local.how}).`);
  if (facts.has('done')) return done('done', 'It was flashed and restarts.');
  const found = afterScript(facts) ?? loading(facts) ?? offering(facts);
  return now - boot.lastAt < found.wait ? running(found.cause) : found.diagnosis;
}

interface Found {
  readonly wait: number;
  /** What happens, while it still may go on. */
  readonly cause: string;
  readonly diagnosis: Diagnosis;
}

function found(wait: number, cause: string, diagnosis: Diagnosis): Found {
  return { wait, cause, diagnosis };
}

function afterScript(facts: Facts): Found | null {
  const { boot } = facts;
  if (reached(boot, 'writing')) {
    const verb = reached(boot, 'verifying') ? 'verify' : 'write';
    const last = facts.last(verb);
    const at = last?.total ? ` at ${Math.floor((100 * last.bytes) / last.total)} %` : '';
    const cause = `The live system stopped in the middle of "${verb}"${at}.`;
    const advice = 'Look at the machine: power, cable, disk. Netbooting it again starts the flash anew.';
    return found(waits.agent, `It is at "${verb}"${at}.`, stopped('flash-silent', cause, advice));
  }
  if (reached(boot, 'agent')) {
    const cause = 'The live system runs and has not said what it does next.';
    const advice = 'Look at its console; it shows what it waits for.';
    return found(waits.agent, 'The live system gets ready.', stopped('agent-silent', cause, advice));
  }
  if (reached(boot, 'kernel')) {
    const whole = reached(boot, 'initrd');
    const cause = whole
      ? 'Kernel and initrd were loaded, and the live system never reported.'
      : 'The kernel was loaded and the initrd was not.';
    const advice = whole
      ? 'The usual causes: less than 512 MB of memory ("write error" on the console), a network card without driver in the live system, or a link that comes up late.'
      : 'Look at the console: iPXE names the error. The link may be too slow or the machine short of memory.';
    return found(
      waits.kernel,
      'The live system starts.',
      stopped(whole ? 'no-agent' : 'no-initrd', cause, advice),
    );
  }
  const script = facts.last('script');
  if (!script) return null;
  if (script.script === 'machine') {
    const cause = `The script of this machine (${script.action}) was fetched and nothing after it.`;
    const advice =
      'Look at the console: iPXE names the error. Boot files may be missing; the boot page lists them.';
    return found(
      waits.loaded,
      `It has its script: ${script.action}.`,
      stopped('script-stopped', cause, advice),
    );
  }
  const cause = 'The first script was fetched, and the script of this machine was never asked for.';
  const advice = 'Check that the address in the script (public URL) is one that the machine reaches.';
  return found(waits.loaded, 'It has the first script.', stopped('bootstrap-stopped', cause, advice));
}

/** Boot file and iPXE. */
function loading(facts: Facts): Found | null {
  const { boot } = facts;
  const fetched = facts.all('tftp-done').length + binaries(facts).length;
  if (fetched > 3) {
    const cause = `The boot file was fetched ${fetched} times and no script was ever asked for: it loops.`;
    const advice =
      'The boot file starts and finds no way on. Try the other build for this machine (ipxe in place of snponly), and remove PXE menus of other servers from the network.';
    return found(0, cause, stopped('boot-file-loop', cause, advice));
  }
  if (boot.steps.some((step) => step.kind === 'discover' && isIpxe(step)) || facts.has('ipxe')) {
    const cause = 'iPXE runs and asked for an address, and never fetched a script over HTTP.';
    const advice =
      'Check that TCP to the appliance is open on this network. If another DHCP server gives iPXE a boot file, its answer may have won.';
    return found(waits.loaded, 'iPXE runs.', stopped('no-script', cause, advice));
  }
  if (fetched > 0) {
    const cause = 'The boot file was fetched whole, and what it starts never asked for anything.';
    const advice =
      'Secure Boot refuses unsigned files: switch it off or use a signed build. Else the build does not fit this network card: set ipxe in place of snponly (BIOS: undionly.kkpxe) for this machine.';
    return found(waits.loaded, 'The boot file starts.', stopped('boot-file-silent', cause, advice));
  }
  return transfers(facts);
}

function binaries(facts: Facts): StepOf<'file'>[] {
  return facts.all('file').filter(({ role, complete }) => role === 'binary' && complete);
}

function transfers(facts: Facts): Found | null {
  const failed = facts.last('tftp-failed');
  if (failed) return transferFailed(failed);
  if (facts.has('tftp-start') && !facts.has('tftp-probe')) {
    const cause = 'A transfer of the boot file began and did not end.';
    return found(
      waits.loaded,
      'The boot file is being fetched.',
      stopped('transfer-open', cause, 'Look at the cable and the switch.'),
    );
  }
  if (facts.has('tftp-probe')) {
    const cause = 'The firmware asked for the size of the boot file and never fetched it.';
    const advice =
      'The file may be too large for this firmware, or its second transfer is blocked: check firewalls for UDP, or try the other build.';
    return found(
      waits.firmware,
      'The firmware asked for the size of the boot file.',
      stopped('probe-only', cause, advice),
    );
  }
  return null;
}

function transferFailed({ end, file, bytes, message }: StepOf<'tftp-failed'>): Found {
  const say = (code: string, cause: string, advice: string) =>
    found(waits.firmware, cause, stopped(code, cause, advice));
  switch (end) {
    case 'not-found':
      return say(
        'file-missing',
        `It asked for "${file}", which is not here.`,
        'The boot page lists the boot files and says how each missing one is got.',
      );
    case 'timeout':
      return bytes === 0
        ? say(
            'transfer-unheard',
            `It asked for "${file}" and never heard the answer.`,
            'Answers come from another port than 69: a firewall or address translation drops them. Open UDP, or switch on TFTP from a single port.',
          )
        : say(
            'transfer-broken',
            `The transfer of "${file}" broke off after ${bytes} bytes.`,
            'Packets get lost: check cable, switch port, and that the path carries frames of 1500 bytes.',
          );
    case 'aborted':
      return say(
        'transfer-aborted',
        `The firmware broke off the transfer of "${file}" after ${bytes} bytes (${message}).`,
        'The file does not suit it: check the architecture, or try the other build.',
      );
    case 'refused':
    case 'too-large':
    case 'too-busy':
    case 'shutdown':
      return say(
        `transfer-${end}`,
        `"${file}" was not sent: ${message}.`,
        'Netboot the machine again; the settings of TFTP hold the limits.',
      );
  }
}

/** DHCP. */
function offering(facts: Facts): Found {
  const offers = facts.all('offer').filter(({ form }) => form !== 'address-only');
  const requests = facts.all('request');
  if (facts.has('boot-server-reply')) {
    const cause = 'It asked port 4011, was answered, and never asked for the boot file.';
    const advice =
      'The answer did not arrive or did not please: check firewalls for UDP 4011 and 69; full mode does without port 4011.';
    return found(waits.firmware, 'It was told its boot file.', stopped('no-tftp', cause, advice));
  }
  if (facts.has('decline')) {
    const cause = 'It declined the address: another device uses it.';
    return found(
      waits.firmware,
      cause,
      stopped('declined', cause, 'The address is set aside; find the other device, or move the pool.'),
    );
  }
  if (facts.has('nak') && !facts.has('ack')) {
    const cause = `Its address was refused: ${facts.last('nak')?.reason ?? ''}`;
    return found(
      waits.firmware,
      cause,
      stopped('refused', cause, 'It asks anew by itself; netboot it again if it does not.'),
    );
  }
  if (requests.length > 0) return requested(facts, requests);
  if (offers.length > 0) return notTaken(facts, offers);
  return unanswered(facts);
}

function requested(facts: Facts, requests: readonly StepOf<'request'>[]): Found {
  const other = requests.findLast(({ ours, server }) => !ours && server !== null);
  if (other && !facts.has('ack')) {
    const form = facts.last('offer')?.form;
    const cause = `It took its address from ${other.server} and ignored what we told it to boot.`;
    const advice =
      form === undefined
        ? `We never answered it; see the reasons above. The server ${other.server} may also give it a boot file of its own.`
        : form === 'proxy-43'
          ? 'Some UEFI firmware drops such offers (option 43): the form without it is tried next; else use full mode.'
          : `Either our offer does not reach it (DHCP snooping on the switch: trust this port), or this firmware ignores proxies: use full mode, or set options 66/67 on ${other.server}.`;
    return found(
      waits.firmware,
      `It takes its address from ${other.server}.`,
      stopped('proxy-ignored', cause, advice),
    );
  }
  const ack = facts.last('ack');
  if (ack && ack.bootFile === null) {
    const cause = `It has its address ${ack.assigned}; it was given no boot file.`;
    return found(
      waits.firmware,
      cause,
      stopped('no-boot-file', cause, 'The reasons of the last offer say why.'),
    );
  }
  const cause = `It has its address and never asked for the boot file${ack?.bootFile ? ` "${ack.bootFile}"` : ''}.`;
  const advice =
    'Check firewalls for UDP 69 and TCP; if the firmware has several network boot entries, choose IPv4 PXE or HTTP.';
  return found(waits.firmware, 'It has its address.', stopped('no-fetch', cause, advice));
}

function notTaken(facts: Facts, offers: readonly StepOf<'offer'>[]): Found {
  const foreign = facts.last('foreign-offer')?.server;
  const isProxy = offers.some(({ form }) => form.startsWith('proxy'));
  const times = `${offers.length} ${offers.length === 1 ? 'offer' : 'offers'} sent`;
  if (isProxy) {
    // What the other server sends to a client is rarely heard here; that it is there was seen before.
    const beside = offers.findLast((offer) => offer.beside !== undefined)?.beside;
    const near = beside ? `${times} beside the DHCP server ${beside}` : times;
    const seen = foreign ? `${times}, ${foreign} offered an address` : near;
    const cause = `${seen}, none taken: this firmware does not merge offers, or the other DHCP server does not answer it.`;
    const where = foreign ?? beside ?? 'the DHCP server of the network';
    return found(
      waits.firmware,
      times,
      stopped('offers-not-merged', cause, `Use full mode, or set options 66/67 on ${where}.`),
    );
  }
  const cause = `${times} with an address, none taken: they do not arrive, or another server was quicker.`;
  const advice =
    'Check DHCP snooping on the switch (trust the port of the appliance) and VLANs, and look for another DHCP server.';
  return found(waits.firmware, times, stopped('offers-not-taken', cause, advice));
}

function unanswered(facts: Facts): Found {
  const ignored = facts.last('ignored');
  const asks = facts.boot.steps.filter(wantsBoot).length;
  if (ignored) {
    const cause = `It was not answered: ${ignored.reasons.at(-1) ?? ignored.message}`;
    const advice = /not here/.test(cause)
      ? 'The boot page says how the missing boot file is got.'
      : /loop/.test(cause)
        ? 'Try the other build for this machine, and netboot it again after two minutes.'
        : 'Change the settings of DHCP if it should be answered.';
    return found(0, cause, stopped('not-answered', cause, advice));
  }
  const cause = `It asked ${asks} times and nothing followed.`;
  return found(waits.firmware, 'It asks for an address.', stopped('silent', cause, 'Look at the machine.'));
}

/** Things worth knowing that are no cause of their own. */
export function hints(boot: Boot): readonly string[] {
  const first = boot.steps.find((step): step is StepOf<'discover'> => step.kind === 'discover');
  const late = first && first.seconds >= 20 && first.seconds < 1000;
  return late
    ? [
        `The first packet came ${first.seconds} s after the firmware began: spanning tree or LACP keeps the port closed; set portfast.`,
      ]
    : [];
}

/** The last step as a short text, for lists. */
export function lastStep(boot: Boot): Step | null {
  return boot.steps.at(-1) ?? null;
}
