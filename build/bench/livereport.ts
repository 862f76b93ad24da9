/** What the bench says of the live system: rows and stages, for the terminal and for docs/performance.md. */
import type { Faced, LiveFindings } from './live.ts';
import type { Spread } from './statistics.ts';
import { markdownTable, textTable } from './table.ts';

/** Largest ratio of seconds to the first request, smallest ratios of rates. */
export const liveBars = { boot: 2.5, flash: 0.9, together: 0.9 } as const;

type Cells = readonly string[];

function rows({ boot, flash, together }: LiveFindings): readonly Cells[] {
  const seconds = ({ median, min, max }: Spread) =>
    `${median.toFixed(2)} s [${min.toFixed(2)}-${max.toFixed(2)}]`;
  const rates = ({ median, min, max }: Spread) =>
    `${(median / 1e6).toFixed(1)} MB/s [${(min / 1e6).toFixed(1)}-${(max / 1e6).toFixed(1)}]`;
  const row = (
    work: string,
    told: (side: Spread) => string,
    { ours, theirs, ratio }: Faced,
    theirName: string,
    bar: string,
    kept: boolean,
  ): Cells => [
    ...[work, told(ours), theirName, told(theirs), ratio.ofMedians.toFixed(2), ratio.ofRounds.toFixed(2)],
    ...[bar, kept ? 'ok' : 'OVER'],
  ];
  const isKept = (faced: Faced, bar: number) => faced.ratio.ofMedians >= bar;
  return [
    ['work', 'bty', 'against', 'that', 'ratio', 'by round', 'bar', ''],
    row(
      'kernel start to first request',
      seconds,
      boot,
      'busybox initramfs, DHCP, wget',
      `at most ${liveBars.boot}`,
      boot.ratio.ofMedians <= liveBars.boot,
    ),
    row('flash', rates, flash, pipeline, `at least ${liveBars.flash}`, isKept(flash, liveBars.flash)),
    ...(together === null
      ? []
      : [
          row(
            'four machines at once, together',
            rates,
            together,
            'four such pipelines',
            `at least ${liveBars.together}`,
            isKept(together, liveBars.together),
          ),
        ]),
  ];
}

const pipeline = 'wget | zstd -dc | tee (sha256sum) | dd';

function stageRows({ stages }: LiveFindings): readonly Cells[] {
  return [
    ['stage', 'seconds'],
    ...stages.map(({ name, seconds: { median, min, max } }) => [
      name,
      `${median.toFixed(2)} [${min.toFixed(2)}-${max.toFixed(2)}]`,
    ]),
  ];
}

const sizes = ({ imageBytes, storedBytes, rounds, date }: LiveFindings): string =>
  `${date}: ${rounds} round(s), image of ${(imageBytes / 2 ** 20).toFixed(0)} MiB (zst ${(storedBytes / 2 ** 20).toFixed(0)} MiB)`;

export function liveText(findings: LiveFindings): string {
  return [sizes(findings), textTable(rows(findings)), textTable(stageRows(findings))].join('\n\n');
}

export const liveTitle = '## The live system';

/** The section of docs/performance.md. */
export function liveMarkdown(findings: LiveFindings): string {
  return [
    liveTitle,
    `${sizes(findings)}. ${method}`,
    markdownTable(rows(findings)),
    stages,
    markdownTable(stageRows(findings)),
  ].join('\n\n');
}

const method = `Made by \`npm run bench -- --only live\` in virtual machines with one
processor and 512 MB that QEMU emulates in software, on the live system's own kernel, beside a real appliance with its
DHCP. Kernel start is where the firmware says that it starts the kernel; requests are timed on the wire. The busybox
initramfs holds nothing but busybox and nine drivers of virtio. The pipeline has native zstd, sha256sum and dd
(\`oflag=direct conv=fsync\`); its rate and ours count from the first byte to the flushed disk, without our read-back.`;

const stages = `Where the time of one netboot and flash goes, as the appliance's boot story and the machine's own report say it:`;

/** The section as it stands in `document`; empty where it has none. */
export function liveSection(document: string): string {
  return document.split(/^(?=## )/m).find((part) => part.startsWith(`${liveTitle}\n`)) ?? '';
}

/** `document` with its section of the live system replaced, or put before the one on repeating. */
export function withLive(document: string, section: string): string {
  if (section === '') return document;
  const others = document.split(/^(?=## )/m).filter((part) => !part.startsWith(`${liveTitle}\n`));
  const at = others.findIndex((part) => part.startsWith('## Repeating it'));
  others.splice(at < 0 ? others.length : at, 0, `${section.trimEnd()}\n\n`);
  return others.join('');
}
