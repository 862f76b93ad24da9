/** Which kernel an installed system starts by itself, from the configuration of its boot loader. Pure. */

export interface KernelChoice {
  /** Absolute paths on the file system that holds the configuration. */
  readonly kernel: string;
  readonly initrds: readonly string[];
  readonly options: string;
}

/** Where loaders keep their configuration, most particular first, on a root or on a boot partition of its own. */
export const configFolders = ['loader/entries', 'boot/loader/entries'] as const;
export const configFiles = [
  ...['boot/grub/grub.cfg', 'grub/grub.cfg', 'boot/grub2/grub.cfg', 'grub2/grub.cfg'],
  ...['boot/extlinux/extlinux.conf', 'extlinux/extlinux.conf', 'syslinux/syslinux.cfg', 'syslinux.cfg'],
] as const;

/** Longest command line that kernels of x86 take (COMMAND_LINE_SIZE). */
const mostOptions = 2047;
const mostLines = 20_000;

/**
 * An entry of the Boot Loader Specification (type 1). Null where it names no kernel, or says with `$` what only its
 * loader knows.
 */
export function fromEntry(text: string): KernelChoice | null {
  const values = new Map<string, string[]>();
  for (const [key, value] of keywords(text)) values.set(key, [...(values.get(key) ?? []), value]);
  const [kernel] = values.get('linux') ?? [];
  return choice(kernel, values.get('initrd') ?? [], (values.get('options') ?? []).join(' '));
}

/** The newest of several entries: by `version` and else by name, as numbers where they are numbers. */
export function newestEntry(entries: ReadonlyMap<string, string>): KernelChoice | null {
  const order = new Intl.Collator('en', { numeric: true });
  const key = ([name, text]: readonly [string, string]): string =>
    [...keywords(text)].find(([word]) => word === 'version')?.[1] ?? name;
  const sorted = [...entries].sort((one, other) => order.compare(key(other), key(one)));
  for (const [, text] of sorted) {
    const found = fromEntry(text);
    if (found) return found;
  }
  return null;
}

/** The first kernel of a configuration of GRUB 2, of SYSLINUX or of EXTLINUX. */
export function fromConfig(name: string, text: string): KernelChoice | null {
  return name.endsWith('grub.cfg') ? fromGrub(text) : fromSyslinux(text);
}

function fromGrub(text: string): KernelChoice | null {
  let kernel: readonly string[] | null = null;
  let initrds: readonly string[] = [];
  for (const [key, value] of keywords(text)) {
    if (/^linux(16|efi)?$/.test(key)) {
      if (kernel !== null) break;
      kernel = value.split(/\s+/);
    } else if (kernel !== null && /^initrd(16|efi)?$/.test(key)) initrds = value.split(/\s+/);
    else if (kernel !== null && key === '}') break;
  }
  return kernel === null ? null : choice(kernel[0], initrds, kernel.slice(1).join(' '));
}

function fromSyslinux(text: string): KernelChoice | null {
  let wanted: string | null = null;
  let label: string | null = null;
  const found = new Map<string, { kernel?: string; initrds: string[]; options: string }>();
  for (const [key, value] of keywords(text)) {
    if (key === 'default') wanted ??= value;
    else if (key === 'label') label = value;
    if (label === null) continue;
    const entry = found.get(label) ?? { initrds: [], options: '' };
    found.set(label, entry);
    if (key === 'linux' || key === 'kernel') entry.kernel = value;
    else if (key === 'initrd') entry.initrds = value.split(',');
    else if (key === 'append') entry.options = value;
  }
  const entry = found.get(wanted ?? '') ?? [...found.values()][0];
  if (!entry) return null;
  // APPEND may name the initrd, too.
  const [, inside] = /(?:^|\s)initrd=(\S+)/.exec(entry.options) ?? [];
  const initrds = inside === undefined ? entry.initrds : inside.split(',');
  return choice(entry.kernel, initrds, entry.options.replace(/(^|\s)initrd=\S+/g, ''));
}

/** Lines as a word in lower case and the rest; without comments. */
function* keywords(text: string): Generator<readonly [string, string]> {
  for (const line of text.split('\n', mostLines)) {
    const [, key, value = ''] = /^\s*([^\s#]\S*)\s*(.*?)\s*$/.exec(line) ?? [];
    if (key !== undefined) yield [key.toLowerCase(), value];
  }
}

function choice(
  kernel: string | undefined,
  initrds: readonly string[],
  options: string,
): KernelChoice | null {
  if (kernel === undefined) return null;
  const paths = [kernel, ...initrds].map((path) => (path.startsWith('/') ? path : `/${path}`));
  const [first = '', ...others] = paths;
  // What a loader would put in is not known here, and half a command line boots half a system.
  if (paths.some((path) => !/^[\w./+~@:-]+$/.test(path) || path.split('/').includes('..'))) return null;
  const plain = options.replace(/\s+/g, ' ').trim();
  if (/[$`\\]/.test(plain) || plain.length > mostOptions || !/^[ -~]*$/.test(plain)) return null;
  // A kernel without a root finds nothing; a live medium's own words are no system either.
  return / root=| rd\.|^root=|^rd\./.test(plain) ? { kernel: first, initrds: others, options: plain } : null;
}
