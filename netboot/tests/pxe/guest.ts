/** A virtual machine that boots from the lab's network: its serial console, its monitor, the times of its stages. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, stat, truncate, writeFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Lab } from './lab.ts';

export type Bus = 'virtio' | 'nvme' | 'ahci' | 'usb';

export interface GuestDisk {
  readonly serial: string;
  readonly bus: Bus;
  /** File on this machine, made when it is missing. */
  readonly file: string;
  readonly bytes: number;
  /** Bytes a second that it takes; without limit unless given. */
  readonly writeRate?: number;
}

export interface GuestOptions {
  readonly lab: Lab;
  readonly name: string;
  /** `uefi-http`: UEFI whose client for PXE is switched off, so that it boots by HTTP. */
  readonly firmware: 'bios' | 'uefi' | 'uefi-http';
  readonly mac: string;
  /** Index of the lab's tap. */
  readonly tap: number;
  readonly disks: readonly GuestDisk[];
  readonly megabytes?: number;
  /** Boots the disks before the network. */
  readonly diskFirst?: boolean;
  /** Starts this kernel itself: neither firmware nor network choose what runs. */
  readonly kernel?: { readonly path: string; readonly initrd: string; readonly parameters: string };
  /** Further arguments for QEMU. */
  readonly more?: readonly string[];
}

/** Limits are those of an idle machine; one that is busy with other things gets this many times as long. */
export const patience = 6;

/** Where Debian puts the firmware for UEFI. */
export const ovmf = { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', variables: '/usr/share/OVMF/OVMF_VARS_4M.fd' };

export class Guest {
  readonly name: string;
  readonly #qemu: ChildProcess;
  readonly #monitor: string;
  readonly #began = performance.now();
  readonly #stages: { readonly name: string; readonly seconds: number }[] = [];
  readonly #waiting = new Set<() => void>();
  #text = '';
  /** How much of `console` was awaited already. */
  #read = 0;
  #complaints = '';
  #ended = false;

  static async start(options: GuestOptions): Promise<Guest> {
    for (const { file, bytes } of options.disks) {
      if ((await stat(file).catch(() => null)) !== null) continue;
      await writeFile(file, '');
      await truncate(file, bytes);
    }
    const variables = join(options.lab.folder, `${options.name}.vars`);
    if (options.firmware !== 'bios' && (await stat(variables).catch(() => null)) === null)
      await copyFile(ovmf.variables, variables);
    return new Guest(options, variables);
  }

  private constructor(options: GuestOptions, variables: string) {
    this.name = options.name;
    this.#monitor = join(options.lab.folder, `${options.name}.${process.hrtime.bigint() % 1_000_000n}.qmp`);
    const args = options.lab.command('qemu-system-x86_64', argumentsOf(options, variables, this.#monitor));
    this.#qemu = spawn(args.program, args.args, { stdio: ['pipe', 'pipe', 'pipe'] });
    // By bytes: progress is drawn with carriage returns, and firmware moves the cursor about.
    this.#qemu.stdout?.on('data', (piece: Buffer) => this.#hear(piece.toString('latin1')));
    this.#qemu.stderr?.on('data', (piece: Buffer) => {
      this.#complaints += piece.toString('utf8');
    });
    this.#qemu.stdin?.on('error', () => {});
    this.#qemu.once('exit', () => this.#end());
    this.#qemu.once('error', (error) => {
      this.#complaints += error.message;
      this.#end();
    });
  }

  /** All that the serial console showed, without the sequences that move the cursor. */
  get console(): string {
    return plain(this.#text);
  }

  get isRunning(): boolean {
    return !this.#ended;
  }

  /** Seconds of each stage that was awaited, since the machine was switched on. */
  get stages(): readonly { readonly name: string; readonly seconds: number }[] {
    return this.#stages;
  }

  /** Resolves when `what` stands on the console after what was awaited before; rejects when it does not come in time. */
  async sees(what: RegExp, seconds: number, stage?: string): Promise<RegExpExecArray> {
    const limit = performance.now() + seconds * patience * 1000;
    for (;;) {
      const found = what.exec(this.console.slice(this.#read));
      if (found) {
        this.#read += found.index + found[0].length;
        if (stage !== undefined)
          this.#stages.push({ name: stage, seconds: (performance.now() - this.#began) / 1000 });
        return found;
      }
      if (this.#ended) throw this.#missed(what, 'the machine ended');
      const left = limit - performance.now();
      if (left <= 0) throw this.#missed(what, `not within ${seconds} s`);
      await this.#news(left);
    }
  }

  /** Types on the serial console. */
  type(keys: string): void {
    this.#qemu.stdin?.write(keys);
  }

  /** Resolves when the machine has switched itself off. */
  async ended(seconds: number): Promise<void> {
    const limit = performance.now() + seconds * patience * 1000;
    while (!this.#ended) {
      const left = limit - performance.now();
      if (left <= 0) throw this.#missed(/power off/, `not within ${seconds} s`);
      await this.#news(left);
    }
  }

  /** Asks QEMU's monitor (QMP) for something. */
  async monitor(execute: string, args: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const socket = createConnection(this.#monitor);
    await once(socket, 'connect');
    try {
      const answers = lines(socket);
      await answers.next(); // the greeting
      for (const command of [{ execute: 'qmp_capabilities' }, { execute, arguments: args }]) {
        socket.write(`${JSON.stringify(command)}\n`);
        for (;;) {
          const { value, done } = await answers.next();
          if (done) throw new Error(`${this.name}: the monitor ended`);
          const answer = JSON.parse(value) as { return?: unknown; error?: { desc: string } };
          if (answer.error) throw new Error(`${this.name}: ${answer.error.desc}`);
          if ('return' in answer) break;
        }
      }
    } finally {
      socket.destroy();
    }
  }

  /** As if somebody pulled the plug. */
  async cutPower(): Promise<void> {
    if (this.#ended) return;
    this.#qemu.kill('SIGKILL');
    await this.ended(20);
  }

  #hear(text: string): void {
    this.#text += text;
    this.#wake();
  }

  #end(): void {
    this.#ended = true;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  #news(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#waiting.add(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #missed(what: RegExp, why: string): Error {
    const shown = plain(this.#text.slice(-4000));
    return new Error(
      `${this.name}: ${what} was not seen, ${why}. ${this.#complaints}\n--- console\n${shown}`,
    );
  }
}

const escapeLetter = String.fromCharCode(0x1b);
const sequences = new RegExp(`${escapeLetter}(\\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|[A-Z=>c])`, 'g');

/** Control sequences of terminals (ECMA-48) and lone controls taken out. */
function plain(text: string): string {
  return text
    .replace(sequences, '')
    .replaceAll('\r', '\n')
    .replace(/[^\n\t -~]/g, '');
}

async function* lines(socket: Socket): AsyncGenerator<string, void> {
  let rest = '';
  for await (const piece of socket) {
    const parts = (rest + (piece as Buffer).toString('utf8')).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) if (line.trim() !== '') yield line;
  }
}

function argumentsOf(options: GuestOptions, variables: string, monitor: string): string[] {
  const { firmware, mac, tap, disks, megabytes = 512, diskFirst = false, kernel, more = [] } = options;
  const [netOrder, diskOrder] = diskFirst ? [9, 1] : [1, 2];
  const uefi = [
    ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${ovmf.code}`],
    ...['-drive', `if=pflash,unit=1,format=raw,file=${variables}`],
    ...(firmware === 'uefi-http' ? ['IPv4', 'IPv6'] : []).flatMap((version) => {
      return ['-fw_cfg', `name=opt/org.tianocore/${version}PXESupport,string=n`];
    }),
  ];
  const direct = kernel && [
    ...['-kernel', kernel.path, '-initrd', kernel.initrd, '-append', kernel.parameters],
  ];
  // Without a ROM OVMF uses its own PXE client, as real machines do; with QEMU's it would be iPXE from the start.
  const rom = firmware === 'bios' ? '' : ',romfile=';
  return [
    ...['-machine', 'q35,accel=tcg', '-cpu', 'max', '-m', `${megabytes}`, '-nodefaults', '-nographic'],
    ...['-serial', 'stdio', '-qmp', `unix:${monitor},server=on,wait=off`],
    ...(firmware === 'bios' ? [] : uefi),
    ...(direct ?? []),
    ...['-netdev', `tap,id=n0,ifname=t${tap},script=no,downscript=no`],
    ...['-device', `virtio-net-pci,netdev=n0,mac=${mac},bootindex=${netOrder}${rom}`],
    ...(disks.some(({ bus }) => bus === 'usb') ? ['-device', 'qemu-xhci,id=xhci'] : []),
    ...disks.flatMap((disk, index) => diskArguments(disk, index, diskOrder + index)),
    ...more,
  ];
}

function diskArguments({ serial, bus, file, writeRate }: GuestDisk, index: number, order: number): string[] {
  const limit = writeRate === undefined ? '' : `,throttling.bps-write=${writeRate}`;
  const common = `drive=d${index},serial=${serial},bootindex=${order}`;
  const device = {
    virtio: `virtio-blk-pci,id=disk${index},${common}`,
    nvme: `nvme,id=disk${index},${common}`,
    ahci: `ide-hd,bus=ide.${index},id=disk${index},${common}`,
    usb: `usb-storage,bus=xhci.0,id=disk${index},${common}`,
  }[bus];
  // Written through, so that a power cut leaves what the guest was told is there.
  const drive = `if=none,id=d${index},format=raw,file=${file},cache=writethrough${limit}`;
  return ['-drive', drive, '-device', device];
}
