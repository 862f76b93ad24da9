import type { Business, Machine } from './machine.ts';
import type { Medium, Options } from './options.ts';
import { fullRun, isFullRun } from './options.ts';
import type { Spread } from './statistics.ts';
import { costTable, markdownTable, type Row, textTable, timeTable } from './table.ts';

/** Everything that one run of the bench found. */
export interface Findings {
  readonly date: string;
  readonly version: string;
  readonly options: Options;
  readonly machine: Machine;
  readonly before: Business;
  readonly after: Business;
  readonly rows: readonly { readonly medium: Medium; readonly rows: readonly Row[]; readonly note: string }[];
  /** Seconds of `bty list disks`, or null when it was left out. */
  readonly list: { readonly wall: Spread; readonly bar: number } | null;
  readonly imageNote: string;
  /** Whether bty failed at something. */
  readonly failed: boolean;
}

const mediumTitle: Readonly<Record<Medium, string>> = {
  disk: 'Loop device with direct I/O over a preallocated file',
  tmpfs: 'Loop device over tmpfs',
};

/** What is printed at the end of a run. */
export function textReport(findings: Findings): string {
  const parts = [machineLines(findings).join('\n')];
  for (const { medium, rows, note } of findings.rows) {
    if (rows.length === 0) continue;
    parts.push(`${mediumTitle[medium]} (${note})`, textTable(timeTable(rows)), textTable(costTable(rows)));
  }
  if (findings.list) parts.push(listLine(findings.list));
  return `${parts.join('\n\n')}\n`;
}

function listLine({ wall, bar }: NonNullable<Findings['list']>): string {
  const range = `${wall.median.toFixed(3)} s [${wall.min.toFixed(3)}-${wall.max.toFixed(3)}]`;
  return `bty list disks: ${range}, at most ${bar} s: ${wall.median <= bar ? 'ok' : 'OVER'}`;
}

function machineLines({ date, version, options, machine, before, after, imageNote }: Findings): string[] {
  const elapsed = after.time - before.time;
  const stolen = ((after.stolen - before.stolen) / (elapsed * machine.cores)) * 100;
  const kind = machine.virtual ? 'a virtual machine' : 'no virtual machine';
  return [
    `${date}, bty ${version}: ${options.rounds} round(s) in ${(elapsed / 60).toFixed(0)} min, ${imageNote}`,
    `Machine: ${machine.processor}, ${machine.cores} core(s), ${machine.memoryGibibytes} GiB, ${kind}, ${machine.kernel}`,
    `Runtime: Node.js ${machine.node}. Others: ${machine.tools.join(', ')}`,
    `Load average before ${before.load.toFixed(2)}, after ${after.load.toFixed(2)}; ` +
      `${stolen.toFixed(1)} % of the processors' time was taken by others on the host`,
  ];
}

/** docs/performance.md */
export function markdownReport(findings: Findings): string {
  const { options, rows, list, machine } = findings;
  const parts = ['# Performance', introduction];
  if (!isFullRun(options)) {
    parts.push(
      `**This was a short run** (${options.rounds} round(s), ${options.mebibytes} MiB${options.only ? `, only ${options.only.join(', ')}` : ''}): ` +
        `it shows that the bench works, and is no measurement. A full run is ${fullRun.rounds} rounds of ${fullRun.mebibytes} MiB.`,
    );
  }
  parts.push(
    '## Last run',
    machineLines(findings)
      .map((line) => `- ${line}`)
      .join('\n'),
  );
  for (const { medium, rows: compared, note } of rows) {
    if (compared.length === 0) continue;
    parts.push(`### ${mediumTitle[medium]}`, `${note[0]?.toUpperCase()}${note.slice(1)}.`);
    parts.push(markdownTable(timeTable(compared)), markdownTable(costTable(compared)));
  }
  if (list) parts.push('### Listing disks', `${listLine(list)}.`);
  parts.push('## Repeating it', repeating, '## How it is measured', method, '## What it does not say');
  parts.push(machine.virtual ? `${limits}\n${virtualLimit}` : limits);
  return `${parts.join('\n\n')}\n`;
}

const introduction = `Made by \`npm run bench\`: the built \`dist/bin/bty\` side by side with what people use today, in one run. Seconds are
medians with [smallest-largest]; "ratio" is ours over theirs, of the medians, and "by round" the median of the ratios
of each round. "at most" is what the project demands of itself, judged by the ratio of medians.`;

const repeating = `As root on Linux x64 or arm64, on a machine with nothing else to do:

\`\`\`
npm run bench                                   # everything; overwrites this file
npm run bench -- --only zst,raw --medium disk   # some groups
npm run bench -- --size 512 --rounds 1          # a quick look
npm run bench -- --prepare                      # make the images, measure nothing
npm run bench -- --bty FILE                     # another build of bty
npm run bench -- --only serve,registry,dhcp,tftp  # the appliance beside nginx, dnsmasq and atftpd
\`\`\`

The first run makes the image (a GPT disk, half used: an EFI system partition and ext4 filled with files from this
machine's \`/usr\`) and packs it; both stay in \`.cache/bench\`, with the single measurements of the last run. It takes
loop devices, disk space for two images and their packed forms, and memory for two to five disks of tmpfs. Disks are
files that it makes and removes itself (\`--work DIR\`); rows whose programs are missing are left out and say so.`;

const method = `- Before each measurement the image is read once, so that it comes from the page cache, and the target's buffers are
  flushed (\`blockdev --flushbufs\`). The order of the contenders, groups and media is another one in each round.
- Targets were written all over with a pattern before they are used, and again after each contender that gives blocks
  back (qcow2), so that nobody pays for allocating. In the first round what each contender left on the disk is compared
  with the image; who left something else is out.
- Flashing runs with \`--verify none\`, except where the work is to read back. \`dd\` runs with \`bs=4M oflag=direct
  iflag=fullblock conv=fsync\`. Pipelines are connected by pipes without a shell. \`bmaptool\` has its block map and writes
  only the mapped blocks.
- The pipeline of the read-back is given the unpacked image to compare with, which saves it a second decompression.
- Rows that say SHA-256 compute it over the stored bytes, which no other tool here does. A qcow2 image and one with a
  block map are read out of order and in part, so there it is not computed; the block map's own checksums are checked,
  by bmaptool too.
- CPU seconds are those of all processes of a contender, as the kernel counts them for a parent that waits; work of the
  loop device's kernel threads is nobody's. They may be as many as the pipeline's and those of SHA-256 over the stored bytes.
- Memory is the largest sum of the resident sets of all processes of a contender, looked at every 20 ms. Pages that two
  processes share, such as the C library's, count twice.
- \`qemu-img convert\` with its defaults does not flush the disk; the kernel writes out at its close, without a flush of the medium.`;

const limits = `- Loop devices are no real media. They have no latency, queue or cache of their own, and their work is done by the
  processors that unpack the image. A USB stick or an SD card is slower than everything here, and there every tool
  waits for it alike.
- Two contenders whose ranges overlap are not told apart by a ratio near 1.
- The files in the image come from this machine, so another machine packs another image.`;

const virtualLimit = `- The last run was made in a virtual machine, whose processors and disk are shared with others: absolute seconds drift
  between runs and are not to be compared, ratios within a run are.`;
