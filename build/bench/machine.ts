import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { median } from './statistics.ts';
import { missing, numberAfter, type Tool } from './tools.ts';

/** What a reader must know of the machine to judge the figures. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGibibytes: number;
  readonly kernel: string;
  readonly virtual: boolean;
  readonly node: string;
  readonly tools: readonly string[];
}

const versioned: readonly (readonly [Tool, string])[] = [
  ['dd', '--version'],
  ['zstd', '--version'],
  ['pigz', '--version'],
  ['igzip', '--version'],
  ['xz', '--version'],
  ['bzip2', '--help'],
  ['qemu-img', '--version'],
  ['bmaptool', '--version'],
];

export function describeMachine(): Machine {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGibibytes: Math.round(totalmem() / 2 ** 30),
    kernel: `Linux ${release()}`,
    virtual: /^flags\s*:.*\bhypervisor\b/m.test(readFileSync('/proc/cpuinfo', 'latin1')),
    node: process.version,
    tools: versioned.flatMap(([tool, option]) => (missing([tool]).length > 0 ? [] : versionOf(tool, option))),
  };
}

/** "zstd 1.5.4": the first number with a point that the program says of itself. */
function versionOf(tool: string, option: string): string {
  const { stdout, stderr } = spawnSync(tool, [option], { encoding: 'utf8', timeout: 10_000 });
  return `${tool} ${`${stdout ?? ''}${stderr ?? ''}`.match(/\d+\.[\d.]*\d/)?.[0] ?? '(version unknown)'}`;
}

/** How busy the machine was at a moment. */
export interface Business {
  /** Load average of the last minute. */
  readonly load: number;
  /** Seconds since boot in which a processor of this virtual machine had to wait for others on its host. */
  readonly stolen: number;
  readonly time: number;
}

export function business(): Business {
  // proc_stat(5): user nice system idle iowait irq softirq steal, in clock ticks.
  const [line = ''] = readFileSync('/proc/stat', 'latin1').split('\n');
  return {
    load: loadavg()[0] ?? 0,
    stolen: Number(line.trim().split(/\s+/)[8] ?? 0) / 100,
    time: performance.now() / 1000,
  };
}

/** Bytes of memory that can be taken without pushing anything out. */
export const availableMemory = (): number => (numberAfter('MemAvailable', '/proc/meminfo') ?? 0) * 1024;

/** CPU seconds that SHA-256 of one byte takes in this runtime, of bytes that no cache holds: an image's do not either. */
export function hashSecondsPerByte(): number {
  const memory = Buffer.alloc(256 << 20, 'some bytes ');
  const block = 4 << 20;
  const tries = Array.from({ length: 5 }, () => {
    const before = process.cpuUsage();
    const hash = createHash('sha256');
    for (let at = 0; at < memory.length; at += block) hash.update(memory.subarray(at, at + block));
    hash.digest();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6 / memory.length;
  });
  return median(tries);
}
