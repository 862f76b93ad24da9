/** The scripts that machines run in iPXE (bty-contract 3.9). Pure: what is decided comes in, text goes out. */
import { commandLine } from '../../shared/contract/agent.ts';
import {
  type Argument,
  command,
  echo,
  type Joined,
  jump,
  jumpIf,
  type Line,
  label,
  render,
  setting,
  word,
} from './ipxe.ts';

/** Architectures for which a live system may be installed, as its file names and iPXE's `buildarch` say them. */
export const liveArchitectures = ['x86_64', 'arm64'] as const;
export type LiveArchitecture = (typeof liveArchitectures)[number];

/** An installed live system: names under `/boot/`. */
export interface LiveSystem {
  readonly architecture: LiveArchitecture;
  readonly kernel: string;
  readonly initrd: string;
  /** Where the live system is one for live-boot, as the predecessor's: its root, fetched by the kernel's parameters. */
  readonly squashfs: string | null;
  /** Parameters that its manifest asks for, besides. */
  readonly parameters: readonly string[];
}

export interface ScriptContext {
  /** Address of the appliance, `http://host:port`; the authority is validated. */
  readonly base: string;
  /** MAC under which the machine is known. */
  readonly mac: string;
}

export type Script =
  /** Start the live system. */
  | {
      readonly kind: 'live';
      readonly mode: 'flash' | 'interactive' | 'inventory';
      readonly systems: readonly LiveSystem[];
      /** Secret part of the one-use address of the ticket. */
      readonly errand: string;
      /** Path of the image, for the predecessor's live system; null for none. */
      readonly imagePath: string | null;
      readonly shell: boolean;
    }
  /** Boot the disk. */
  | { readonly kind: 'disk'; readonly because: string }
  /** Nothing is bound. */
  | { readonly kind: 'nothing' }
  /** Say why, wait, ask again. */
  | { readonly kind: 'wait'; readonly reasons: readonly string[]; readonly seconds: number };

const base: Joined = [setting('bty-base')];
const under = (path: string): Joined => [...base, word(path)];

/** The script of one machine. */
export function machineScript(script: Script, { base: address, mac }: ScriptContext): string {
  const head = [command('set', [word('bty-base'), word(address)])];
  switch (script.kind) {
    case 'live':
      return render([...head, ...live(script, mac)]);
    case 'disk':
      return render([
        ...head,
        echo(`bty: ${mac}: ${script.because}`),
        command('sleep', [word('1')]),
        ...disk('exit'),
      ]);
    case 'nothing':
      return render([
        ...head,
        echo(`bty: no bty assignment for ${mac}; the disk is booted in 5 seconds`),
        command('sleep', [word('5')]),
        ...disk('sanboot'),
      ]);
    case 'wait':
      return render([
        ...head,
        label('wait'),
        ...script.reasons.map((reason) => echo(`bty: ${mac}: ${reason}`)),
        echo(`bty: asking again in ${script.seconds} seconds`),
        command('sleep', [word(String(script.seconds))]),
        ...askAgain(mac),
        jump('wait'),
      ]);
  }
}

/** The first script: it knows no machine, and asks for the one of the machine that runs it. */
export function bootstrapScript(address: string): string {
  const identity: Joined = [
    word(`${address}/pxe/`),
    setting('netX/mac:hexhyp'),
    word('?uuid='),
    setting('uuid'),
    word('&serial='),
    setting('serial:uristring'),
  ];
  return render([
    { kind: 'comment', text: 'bty: the script of this machine is asked for by the address it booted from' },
    command('set', [word('bty-base'), word(address)]),
    command('set', [word('attempt:int32'), word('0')]),
    label('ask'),
    command('chain', [word('--replace'), word('--autofree'), identity], 'go-on'),
    command('inc', [word('attempt')]),
    jumpIf(setting('attempt'), word('10'), 'give_up'),
    echo('bty: the appliance did not answer; asking again in 3 seconds'),
    command('sleep', [word('3')]),
    jump('ask'),
    label('give_up'),
    echo('bty: the appliance did not answer ten times; the disk is booted'),
    ...disk('exit'),
  ]);
}

function askAgain(mac: string): Line[] {
  const address = under(`/pxe/${mac.replaceAll(':', '-')}`);
  return [command('chain', [word('--replace'), word('--autofree'), address], 'go-on')];
}

/**
 * Booting the disk. iPXE cannot give control back to every UEFI firmware: OVMF goes to its menu after `exit` and hangs,
 * so a small loader of ours looks for the disk's own; a newer iPXE (2.0) can do it by `sanboot`. BIOS goes on with its
 * next device after `exit`, and starts the first disk by `sanboot` even where the network is the only boot device.
 */
function disk(onBios: 'exit' | 'sanboot'): Line[] {
  const sanboot = (drive: string, otherwise: 'go-on' | 'end') =>
    command('sanboot', [word('--no-describe'), word('--drive'), word(drive)], otherwise);
  return [
    jumpIf(setting('platform'), word('efi'), 'efi_disk'),
    ...(onBios === 'sanboot' ? [sanboot('0x80', 'go-on')] : []),
    command('exit'),
    label('efi_disk'),
    command('set', [word('bty-loader'), word('localboot.efi')]),
    jumpIf(setting('buildarch'), word('arm64'), 'efi_arm64'),
    jumpIf(setting('buildarch'), word('i386'), 'efi_i386'),
    jump('efi_load'),
    label('efi_arm64'),
    command('set', [word('bty-loader'), word('arm64/localboot.efi')]),
    jump('efi_load'),
    label('efi_i386'),
    command('set', [word('bty-loader'), word('i386/localboot.efi')]),
    label('efi_load'),
    command('chain', [[...base, word('/boot/'), setting('bty-loader')]], 'go-on'),
    sanboot('0', 'go-on'),
    command('exit', [word('1')]),
  ];
}

type Live = Extract<Script, { kind: 'live' }>;

function live(script: Live, mac: string): Line[] {
  const [first, ...others] = script.systems;
  if (first === undefined) throw new Error('no live system to start');
  const doing = { flash: 'flashing', interactive: 'waiting for a person', inventory: 'taking stock' };
  return [
    echo(`bty: ${mac}: starting the live system (${doing[script.mode]})`),
    ...others.map((system) => jumpIf(setting('buildarch'), word(system.architecture), system.architecture)),
    ...load(script, first, mac),
    ...others.flatMap((system) => [label(system.architecture), ...load(script, system, mac)]),
    label('failed'),
    echo('bty: the live system could not be loaded; trying again in 15 seconds'),
    command('imgfree', [], 'go-on'),
    command('sleep', [word('15')]),
    ...askAgain(mac),
    jump('failed'),
  ];
}

function load(script: Live, system: LiveSystem, mac: string): Line[] {
  const failed = { goto: 'failed' };
  const kernel = [under(`/boot/${system.kernel}`), ...parameters(script, system, mac)];
  const ticket = under(`/pxe/${mac.replaceAll(':', '-')}/ticket/${script.errand}`);
  return [
    command('kernel', kernel, failed),
    // An unpacked archive must begin on a multiple of four bytes, a packed one need not: so the ticket comes first.
    command('initrd', [word('--name'), word('bty-ticket'), ticket], failed),
    command('initrd', [word('--name'), word('bty-initrd'), under(`/boot/${system.initrd}`)], failed),
    command('boot', [], failed),
  ];
}

function parameters(script: Live, system: LiveSystem, mac: string): Argument[] {
  const server = (name: string, path = ''): Argument =>
    path === '' ? [word(`${name}=`), ...base] : [word(`${name}=`), ...base, word(path)];
  const list: Argument[] = [
    // Kernels that are EFI programs take their initrds by name from older iPXEs; nobody else minds.
    word('initrd=bty-ticket'),
    word('initrd=bty-initrd'),
  ];
  if (system.squashfs !== null)
    list.push(word('boot=live'), server('fetch', `/boot/${system.squashfs}`), word('components'));
  const serial = system.architecture === 'arm64' ? 'ttyAMA0,115200' : 'ttyS0,115200';
  list.push(word('quiet'), word('console=tty0'), word(`console=${serial}`));
  if (script.mode === 'interactive') list.push(word(`${commandLine.mode}=interactive`));
  list.push(server(commandLine.server), word(`${commandLine.mac}=${mac}`));
  if (script.mode === 'flash' && script.imagePath !== null)
    list.push(server(commandLine.imageUrl, script.imagePath));
  if (script.shell) list.push(word(`${commandLine.shell}=1`));
  list.push([word(`${commandLine.bootInterface}=01-`), setting('netX/mac:hexhyp')]);
  list.push(...system.parameters.map(word));
  return list;
}
