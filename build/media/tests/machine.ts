/** A virtual PC with a person at its serial line. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Screen } from './screen.ts';

export const ovmf = {
  code: '/usr/share/OVMF/OVMF_CODE_4M.fd',
  variables: '/usr/share/OVMF/OVMF_VARS_4M.fd',
  secureCode: '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd',
  secureVariables: '/usr/share/OVMF/OVMF_VARS_4M.ms.fd',
};

/** A kernel for arm64 that is started without any firmware. */
export interface Started {
  readonly kernel: string;
  readonly initrd: string;
  readonly words: string;
}

export interface MachineOptions {
  /** Folder for its own files. */
  readonly folder: string;
  /** `Started`: a board whose firmware is not to be had here, so that its kernel is started by QEMU itself. */
  readonly firmware: 'bios' | 'uefi' | 'secure' | Started;
  readonly megabytes?: number;
  /** Further arguments of QEMU: disks and networks. */
  readonly devices: readonly string[];
  /** Put before the program, as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
}

/** The built stick as a USB disk, or as a virtual CD. */
export function stickDevice(file: string, as: 'usb' | 'cd'): readonly string[] {
  const drive = `if=none,id=stick,format=raw,file=${file}`;
  return as === 'usb'
    ? [
        ...['-device', 'qemu-xhci,id=xhci', '-drive', `${drive},cache=writethrough`],
        ...['-device', 'usb-storage,bus=xhci.0,drive=stick,serial=STICK,bootindex=1'],
      ]
    : ['-drive', `${drive},readonly=on,media=cdrom`, '-device', 'ide-cd,bus=ide.1,drive=stick,bootindex=1'];
}

export function diskDevice(file: string, serial: string, order = 5): readonly string[] {
  return [
    ...['-drive', `if=none,id=${serial},format=raw,file=${file},cache=writethrough`],
    ...['-device', `virtio-blk-pci,drive=${serial},serial=${serial},bootindex=${order}`],
  ];
}

function personal(firmware: 'bios' | 'uefi' | 'secure', variables: string): readonly string[] {
  const secure = firmware === 'secure';
  const code = secure ? ovmf.secureCode : ovmf.code;
  return [
    'qemu-system-x86_64',
    ...['-machine', `q35,accel=tcg${secure ? ',smm=on' : ''}`, '-cpu', 'max', '-smp', '2'],
    ...(secure ? ['-global', 'driver=cfi.pflash01,property=secure,value=on'] : []),
    ...(firmware === 'bios'
      ? []
      : [
          ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${code}`],
          ...['-drive', `if=pflash,unit=1,format=raw,file=${variables}`],
        ]),
  ];
}

function board({ kernel, initrd, words }: Started): readonly string[] {
  return [
    'qemu-system-aarch64',
    ...['-machine', 'virt', '-cpu', 'cortex-a72', '-smp', '2'],
    ...['-kernel', kernel, '-initrd', initrd, '-append', words],
  ];
}

export class PersonalMachine {
  readonly #qemu: ChildProcess;
  readonly #waiting = new Set<() => void>();
  readonly #screen = new Screen();
  #text = '';
  #read = 0;
  #complaints = '';
  #ended = false;

  static async start(options: MachineOptions): Promise<PersonalMachine> {
    const variables = join(options.folder, `vars-${process.hrtime.bigint() % 1_000_000n}.fd`);
    if (options.firmware === 'uefi') await copyFile(ovmf.variables, variables);
    if (options.firmware === 'secure') await copyFile(ovmf.secureVariables, variables);
    return new PersonalMachine(options, variables);
  }

  private constructor(options: MachineOptions, variables: string) {
    const { firmware, megabytes = 1024, devices, prefix = [] } = options;
    const machine = typeof firmware === 'string' ? personal(firmware, variables) : board(firmware);
    const [program = '', ...args] = [
      ...prefix,
      ...machine,
      ...['-m', `${megabytes}`, '-nodefaults', '-nographic', '-serial', 'stdio'],
      ...devices,
    ];
    this.#qemu = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    // For whoever looks on while it runs.
    const log = createWriteStream(join(options.folder, 'console.log'), { flags: 'a' });
    log.on('error', () => {});
    this.#qemu.stdout?.pipe(log);
    this.#qemu.stdout?.on('data', (piece: Buffer) => {
      this.#text += piece.toString('latin1');
      this.#screen.feed(piece.toString('latin1'));
      // A terminal answers where its cursor is, from which the other side learns the terminal's size.
      if (piece.includes('\x1b[6n')) this.type('\x1b[24;80R');
      this.#wake();
    });
    this.#qemu.stderr?.on('data', (piece: Buffer) => {
      this.#complaints += piece.toString('utf8');
    });
    this.#qemu.stdin?.on('error', () => {});
    for (const event of ['exit', 'error'] as const)
      this.#qemu.once(event, () => {
        this.#ended = true;
        this.#wake();
      });
  }

  /** All that the serial line showed, without the sequences that place the cursor: each becomes a line's end. */
  get console(): string {
    return plain(this.#text);
  }

  type(text: string): void {
    this.#qemu.stdin?.write(text);
  }

  /** Forgets what was shown so far. */
  skip(): void {
    this.#read = this.console.length;
  }

  /** Resolves when `what` is shown after what was awaited before. */
  async sees(what: RegExp, seconds: number): Promise<RegExpExecArray> {
    const limit = performance.now() + seconds * 1000;
    for (;;) {
      const found = what.exec(this.console.slice(this.#read));
      if (found) {
        this.#read += found.index + found[0].length;
        return found;
      }
      const left = limit - performance.now();
      if (this.#ended || left <= 0) {
        const why = this.#ended ? 'the machine ended' : `not within ${seconds} s`;
        throw new Error(
          `${what} was not seen, ${why}. ${this.#complaints}\n--- console\n${this.console.slice(-5000)}`,
        );
      }
      await this.#news(left);
    }
  }

  /** Resolves when the screen of 80 by 24 shows `what`. */
  async shows(what: RegExp, seconds: number): Promise<void> {
    const limit = performance.now() + seconds * 1000;
    while (!what.test(this.#screen.text)) {
      const left = limit - performance.now();
      if (this.#ended || left <= 0) {
        const why = this.#ended ? 'the machine ended' : `not within ${seconds} s`;
        throw new Error(
          `${what} is not shown, ${why}. ${this.#complaints}\n--- screen\n${this.#screen.text}`,
        );
      }
      await this.#news(left);
    }
  }

  /** Resolves when the machine has switched itself off. */
  async ended(seconds: number): Promise<void> {
    const limit = performance.now() + seconds * 1000;
    while (!this.#ended) {
      const left = limit - performance.now();
      if (left <= 0) throw new Error(`the machine runs on after ${seconds} s:\n${this.console.slice(-3000)}`);
      await this.#news(left);
    }
  }

  async cutPower(): Promise<void> {
    if (this.#ended) return;
    this.#qemu.kill('SIGKILL');
    await this.ended(20);
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
}

const escapeLetter = String.fromCharCode(0x1b);
const sequences = new RegExp(`${escapeLetter}(\\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|[A-Z=>c78])`, 'g');

function plain(text: string): string {
  return text
    .replace(sequences, '\n')
    .replaceAll('\r', '\n')
    .replace(/[^\n\t -~]/g, '')
    .replace(/\n+/g, '\n');
}
