/** What the kernel's command line tells the agent. */
import { commandLine } from '../../shared/contract/agent.ts';
import { failure } from '../../shared/failure.ts';

export interface BootFacts {
  /** Appliance, without a slash at its end. */
  readonly server: string;
  /** Lower case with colons. */
  readonly mac: string;
  /** MAC address of the interface that the firmware booted from, null when it is not told. */
  readonly bootedFrom: string | null;
  /** Whether the operator wants a shell after a failure. */
  readonly shell: boolean;
}

/** Reads /proc/cmdline. Throws COMMAND_LINE_INVALID. Of a word that stands twice the last one counts. */
export function parseCommandLine(text: string): BootFacts {
  const words = new Map<string, string>();
  for (const word of wordsOf(text.slice(0, 16_384))) {
    const at = word.indexOf('=');
    if (at > 0) words.set(word.slice(0, at), word.slice(at + 1));
  }
  const { server, mac, shell, bootInterface } = commandLine;
  return {
    server: serverOf(server, words.get(server)),
    mac: macOf(mac, words.get(mac)),
    bootedFrom: bootedFrom(words.get(bootInterface)),
    shell: words.get(shell) === '1',
  };
}

/** Words as the kernel divides them: a double quote keeps blanks together, around a value or around a whole word. */
function wordsOf(text: string): readonly string[] {
  const words = text.match(/(?:"[^"]*(?:"|$)|[^\s"])+/g) ?? [];
  return words.map((word) => word.replaceAll('"', ''));
}

function serverOf(name: string, value: string | undefined): string {
  if (value === undefined) throw failure('COMMAND_LINE_INVALID', { name, problem: 'is missing' });
  const url = URL.parse(value);
  const isAddress = url && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '';
  if (!isAddress || url.pathname !== '/' || url.hash !== '') {
    throw failure('COMMAND_LINE_INVALID', {
      name,
      problem: `is ${JSON.stringify(value.slice(0, 200))}, not an http or https address without a path`,
    });
  }
  return url.origin;
}

function macOf(name: string, value: string | undefined): string {
  if (value === undefined) throw failure('COMMAND_LINE_INVALID', { name, problem: 'is missing' });
  const mac = plainMac(value);
  if (mac !== null) return mac;
  throw failure('COMMAND_LINE_INVALID', {
    name,
    problem: `is ${JSON.stringify(value.slice(0, 200))}, not a MAC address`,
  });
}

function bootedFrom(value: string | undefined): string | null {
  // PXELINUX writes the type of the hardware (01 for Ethernet) before the address.
  return value === undefined ? null : (plainMac(value) ?? plainMac(value.replace(/^[0-9a-f]{2}[-:]/i, '')));
}

function plainMac(text: string): string | null {
  const mac = text.toLowerCase().replaceAll('-', ':');
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac) ? mac : null;
}
