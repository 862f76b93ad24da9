/** A virtual machine with disks on every kind of bus, which runs commands as root. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Channel } from './channel.ts';

export interface GuestDisk {
  /** Names the device for `unplug`. */
  readonly id: string;
  readonly bus: 'virtio' | 'nvme' | 'sata' | 'usb' | 'uas' | 'scsi';
  readonly serial: string;
  /** File on this machine that holds its bytes. */
  readonly file: string;
  /** Bytes that it takes in a second, without limit unless given. */
  readonly writeRate?: number;
}

export interface GuestOptions {
  /** Where sockets and the log of the console are put. */
  readonly folder: string;
  readonly kernel: string;
  readonly initramfs: string;
  readonly disks: readonly GuestDisk[];
}

export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Pending {
  readonly id: number;
  readonly lines: string[];
  readonly onLine: (line: string) => void;
  readonly resolve: (answer: Answer) => void;
}

const bootSeconds = 900;
const commandSeconds = 600;

export class Guest {
  readonly #qemu: ChildProcess;
  readonly #commands: Channel;
  readonly #monitor: Channel;
  readonly #console: string;
  readonly #ready = Promise.withResolvers<void>();
  readonly #gone = Promise.withResolvers<never>();
  readonly #asked = new Map<number, () => void>();
  #pending: Pending | undefined;
  #last = 0;
  #complaints = '';

  /** Starts a machine; resolves when it takes commands. */
  static async start(options: GuestOptions): Promise<Guest> {
    const commands = new Channel(join(options.folder, 'commands'));
    const monitor = new Channel(join(options.folder, 'monitor'));
    await Promise.all([commands.listen(), monitor.listen()]);
    const guest = new Guest(options, commands, monitor);
    try {
      await guest.#within(bootSeconds, 'the machine does not start', guest.#ready.promise);
    } catch (error) {
      await guest.stop();
      throw error;
    }
    return guest;
  }

  private constructor(options: GuestOptions, commands: Channel, monitor: Channel) {
    const { folder, kernel, initramfs, disks } = options;
    this.#commands = commands;
    this.#monitor = monitor;
    this.#console = join(folder, 'console');
    commands.onLine = (line) => this.#hear(line);
    monitor.onLine = (line) => this.#told(line);
    void monitor.send(JSON.stringify({ execute: 'qmp_capabilities' }));
    const args = [
      ...['-machine', 'q35,accel=tcg', '-cpu', 'max', '-m', '1024', '-nodefaults', '-display', 'none'],
      ...['-no-reboot', '-kernel', kernel, '-initrd', initramfs],
      ...['-append', 'console=ttyS0 quiet panic=-1'],
      ...['-serial', `file:${this.#console}`],
      ...['-chardev', `socket,id=commands,path=${join(folder, 'commands')}`, '-serial', 'chardev:commands'],
      ...['-chardev', `socket,id=monitor,path=${join(folder, 'monitor')}`],
      ...['-mon', 'chardev=monitor,mode=control'],
      ...['-device', 'qemu-xhci,id=xhci,p2=8,p3=8', '-device', 'virtio-scsi-pci,id=scsi'],
      ...disks.flatMap(deviceArgs),
    ];
    this.#qemu = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#qemu.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints += text;
    });
    this.#gone.promise.catch(() => {});
    const end = (reason: string) => this.#gone.reject(new Error(`the machine ended: ${reason}`));
    this.#qemu.once('error', (error) => end(error.message));
    this.#qemu.once('exit', (code, signal) => end(`${signal ?? code} ${this.#complaints}`));
  }

  /** Runs a line of shell in the guest, one at a time; `onLine` sees its standard output while it runs. */
  async run(command: string, onLine: (line: string) => void = () => {}): Promise<Answer> {
    if (this.#pending) throw new Error('a command is still running');
    const id = ++this.#last;
    const answer = new Promise<Answer>((resolve) => {
      this.#pending = { id, lines: [], onLine, resolve };
    });
    await this.#commands.send(`${id} ${command}`);
    const found = await this.#within(commandSeconds, `no end of: ${command}`, answer);
    this.#pending = undefined;
    return found;
  }

  /** Pulls a disk out. */
  async unplug(id: string): Promise<void> {
    const number = ++this.#last;
    const done = new Promise<void>((resolve) => this.#asked.set(number, resolve));
    await this.#monitor.send(
      JSON.stringify({ execute: 'device_del', arguments: { id: `disk-${id}` }, id: number }),
    );
    await this.#within(commandSeconds, `the disk ${id} cannot be unplugged`, done);
  }

  /** Ends the machine. */
  async stop(): Promise<void> {
    if (this.#qemu.exitCode === null && this.#qemu.signalCode === null && this.#qemu.pid !== undefined) {
      const gone = once(this.#qemu, 'exit');
      this.#qemu.kill('SIGKILL');
      await gone;
    }
    await Promise.all([this.#commands.close(), this.#monitor.close()]);
  }

  #hear(line: string): void {
    if (line.includes('@@ready')) this.#ready.resolve();
    const pending = this.#pending;
    if (!pending) return;
    const [, id, code, problems = ''] = /^@@end (\d+) (\d+) (\S*)$/.exec(line) ?? [];
    if (id === undefined || Number(id) !== pending.id) {
      pending.lines.push(line);
      pending.onLine(line);
      return;
    }
    const stderr = Buffer.from(problems, 'base64').toString('utf8');
    pending.resolve({ code: Number(code), stdout: pending.lines.join('\n').trimEnd(), stderr });
  }

  #told(line: string): void {
    const { id, error } = JSON.parse(line) as { id?: number; error?: { desc: string } };
    if (error) this.#gone.reject(new Error(`QEMU: ${error.desc}`));
    if (id !== undefined) this.#asked.get(id)?.();
  }

  /** Waits no longer than `seconds`, and not for a machine that ended; tells what its console showed. */
  async #within<Value>(seconds: number, problem: string, work: Promise<Value>): Promise<Value> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${problem} (within ${seconds} s)`)), seconds * 1000);
    });
    try {
      return await Promise.race([work, late, this.#gone.promise]);
    } catch (error) {
      const shown = await readFile(this.#console, 'utf8').catch(() => '');
      throw new Error(`${(error as Error).message}\n${shown.slice(-3000)}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }
}

function deviceArgs({ id, bus, serial, file, writeRate }: GuestDisk, index: number): string[] {
  const limit = writeRate === undefined ? '' : `,throttling.bps-write=${writeRate}`;
  const drive = ['-drive', `if=none,id=${id},format=raw,file=${file},cache=writeback${limit}`];
  const common = `drive=${id},serial=${serial}`;
  const named = `id=disk-${id}`;
  switch (bus) {
    case 'virtio':
      return [...drive, '-device', `virtio-blk-pci,${common},${named}`];
    case 'nvme':
      return [...drive, '-device', `nvme,${common},${named}`];
    case 'sata':
      return [...drive, '-device', `ide-hd,bus=ide.${index % 6},${common},${named}`];
    case 'usb':
      return [...drive, '-device', `usb-storage,bus=xhci.0,${common},${named}`];
    case 'uas':
      return [
        ...[...drive, '-device', `usb-uas,bus=xhci.0,id=uas-${id},serial=${serial}`],
        ...['-device', `scsi-hd,bus=uas-${id}.0,${common},${named}`],
      ];
    case 'scsi':
      return [...drive, '-device', `scsi-hd,bus=scsi.0,${common},${named}`];
  }
}
