import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cleanup, interruption } from './cleanup.ts';
import { Disks, diskFolder } from './disks.ts';
import {
  type Contender,
  type Group,
  groupNames,
  groups,
  listBar,
  listGroup,
  liveGroup,
  sectionGroups,
} from './groups.ts';
import { Images } from './image.ts';
import { measureLive, noLiveBench } from './live.ts';
import { liveMarkdown, liveSection, liveText, withLive } from './livereport.ts';
import { business, describeMachine, hashSecondsPerByte } from './machine.ts';
import { fullRun, isFullRun, type Medium, type Options, parseOptions, usage } from './options.ts';
import { measure } from './pipeline.ts';
import { builtProgram, copyOf } from './program.ts';
import { type Findings, markdownReport, textReport } from './report.ts';
import { runRounds, type Tallies } from './rounds.ts';
import { sectionMarkdown, sectionsOf, sectionText, withSection } from './sectionreport.ts';
import { noSectionBench, type SectionGroup, sectionBenches, sectionTitles } from './sections.ts';
import { type Spread, spread } from './statistics.ts';
import { compare, type Row } from './table.ts';
import { missing, needs, type Tool } from './tools.ts';

/**
 * `npm run bench`: measures the built executable beside other tools, prints the table, and after a full run writes
 * docs/performance.md.
 */
const root = join(import.meta.dirname, '..', '..');
const cache = join(root, '.cache', 'bench');
const always: readonly Tool[] = ['losetup', 'blockdev', 'fallocate', 'mkfifo', 'getconf'];

const say = (text: string) => process.stderr.write(`${text}\n`);

function options(): Options | null {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    process.stdout.write(usage);
    return null;
  }
  try {
    return parseOptions(args, groupNames, process.cwd());
  } catch (error) {
    say(`bench: ${error instanceof Error ? error.message : error}\n${usage}`);
    process.exitCode = 2;
    return null;
  }
}

function checkRights(): void {
  if (process.getuid?.() !== 0)
    throw new Error('loop devices take root; run it as root (sudo npm run bench)');
  const lacking = missing(always);
  if (lacking.length > 0) throw new Error(needs(lacking));
}

/** Makes every form of the image that can be made on this machine. */
async function prepare(chosen: Options, signal: AbortSignal): Promise<void> {
  await builtProgram(say, signal);
  const images = imagesFor(chosen, signal);
  for (const form of new Set(wantedGroups(chosen).flatMap(formsOf))) {
    const lacking = images.lacking(form);
    if (lacking.length === 0) await images.make(form);
    else say(`${form}: ${needs(lacking)}`);
  }
}

const formsOf = ({ contenders }: Group) => contenders.flatMap(({ reads }) => reads);
const wantedGroups = ({ only }: Options) => groups.filter(({ name }) => only === null || only.includes(name));
const imagesFor = ({ work, mebibytes }: Options, signal: AbortSignal) =>
  new Images(cache, diskFolder(work), mebibytes, say, signal);

async function bench(chosen: Options, cleanup: Cleanup, signal: AbortSignal): Promise<Findings> {
  checkRights();
  const wanted = wantedGroups(chosen);
  const built = chosen.program ?? (await builtProgram(say, signal));
  const program = copyOf(built, diskFolder(chosen.work), cleanup);
  const version = execFileSync(program, ['--version'], { encoding: 'utf8' }).trim().replace(/^bty /, '');
  const images = imagesFor(chosen, signal);
  const media = wanted.length === 0 ? [] : chosen.media;
  const machine = describeMachine();
  const perByte = hashSecondsPerByte();
  const before = business();
  const disks = media
    .filter((medium) => wanted.some((group) => group.media.includes(medium)))
    .map((medium) => new Disks(medium, chosen.work, images.bytes, cleanup));
  const race = { program, images, disks, groups: wanted, rounds: chosen.rounds, say, signal };
  const tallies = await runRounds(race);
  const list =
    !signal.aborted && (chosen.only === null || chosen.only.includes(listGroup))
      ? { wall: await timeList(program, Math.max(5, chosen.rounds), signal), bar: listBar }
      : null;
  keepMeasurements(tallies);
  return {
    date: new Date().toISOString().slice(0, 10),
    version,
    options: chosen,
    machine,
    before,
    after: business(),
    rows: disks.map(({ medium, first }) => ({
      medium,
      rows: rowsOf(wanted, medium, tallies.get(medium) ?? new Map(), images, perByte),
      note: `loop device ${first.direct ? 'with' : 'without'} direct I/O, ${medium === 'disk' ? 'bars apply' : 'no bars except for several targets'}`,
    })),
    list,
    // Others that fail only leave out a row.
    failed: [...tallies.values()].some((all) =>
      [...all].some(([{ maker }, tally]) => maker === 'bty' && tally.failed),
    ),
    imageNote: `image of ${chosen.mebibytes} MiB (${images.summary()})`,
  };
}

function rowsOf(
  wanted: readonly Group[],
  medium: Medium,
  tallies: Tallies,
  images: Images,
  perByte: number,
): Row[] {
  return wanted
    .filter((group) => group.media.includes(medium))
    .flatMap(({ contenders, comparisons }) =>
      comparisons.map((comparison): Row => {
        const of = (name: string) => tallies.get(contenders.find((one) => one.name === name) as Contender);
        const [ours, theirs] = [of(comparison.ours), of(comparison.theirs)];
        const reason = ours?.out ?? theirs?.out ?? null;
        if (!ours || !theirs || reason !== null) {
          return { kind: 'skipped', comparison, reason: reason ?? 'it did not run' };
        }
        const hashed = comparison.cpuBound?.hashed ?? null;
        const hashSeconds = hashed === null ? 0 : images.size(hashed) * perByte;
        return compare(comparison, ours.usages, theirs.usages, medium, hashSeconds);
      }),
    );
}

async function timeList(program: string, times: number, signal: AbortSignal): Promise<Spread> {
  const walls: number[] = [];
  for (let time = 0; time < times; time++) {
    walls.push((await measure([[[program, 'list', 'disks']]], signal)).wall);
  }
  return spread(walls);
}

/** The single measurements, for whoever wants more than medians. */
function keepMeasurements(tallies: ReadonlyMap<Medium, Tallies>): void {
  mkdirSync(cache, { recursive: true });
  const lines = [...tallies].flatMap(([medium, all]) =>
    [...all].flatMap(([{ name, reads }, { usages }]) =>
      usages.map((usage, round) => [medium, reads[0], name, round + 1, usage.wall, usage.cpu, usage.peak]),
    ),
  );
  const headings = ['medium', 'image', 'contender', 'round', 'wall s', 'CPU s', 'peak bytes'];
  const text = [headings, ...lines].map((line) => `${line.join('\t')}\n`).join('');
  writeFileSync(join(cache, 'last-run.tsv'), text);
}

async function benchAndTell(chosen: Options, cleanup: Cleanup, signal: AbortSignal): Promise<void> {
  const { only } = chosen;
  if (only === null || only.some((name) => name !== liveGroup && !hasSection(name))) {
    const findings = await bench(chosen, cleanup, signal);
    process.stdout.write(`\n${textReport(findings)}`);
    signal.throwIfAborted();
    const report = chosen.report ?? (isFullRun(chosen) ? document : null);
    if (report !== null) {
      const before = read(report);
      const kept = sectionsOf(before, sectionTitles);
      const told = withLive(markdownReport(findings), liveSection(before));
      write(report, kept.reduce(withSection, told));
    }
    if (findings.failed) process.exitCode = 1;
  }
  for (const name of sectionGroups)
    if (only === null || only.includes(name)) await benchSection(name, chosen, signal);
  if (only === null || only.includes(liveGroup)) await raceLive(chosen, signal);
}

const hasSection = (name: string) => sectionGroups.some((one) => one === name);

/** Measures one group that has a section of its own, and puts what was found there. */
async function benchSection(name: SectionGroup, chosen: Options, signal: AbortSignal): Promise<void> {
  const reason = noSectionBench(name);
  if (reason !== null) {
    say(`${name}: skipped, ${reason}`);
    return;
  }
  const { rounds } = chosen;
  const { load } = business();
  const section = await sectionBenches[name]({ rounds, say, signal });
  process.stdout.write(`\n${sectionText(section)}`);
  const report = chosen.report ?? (rounds >= fullRun.rounds ? document : null);
  const told = { date: new Date().toISOString().slice(0, 10), rounds, load };
  if (report !== null) write(report, withSection(read(report), sectionMarkdown(section, told)));
}

/** Races the live system, and puts what was found there. */
async function raceLive(chosen: Options, signal: AbortSignal): Promise<void> {
  const reason = noLiveBench();
  if (reason !== null) {
    say(`live: skipped, ${reason}`);
    return;
  }
  // Emulated machines unpack some megabytes a second, so the image is a small one.
  const images = new Images(cache, diskFolder(chosen.work), Math.min(256, chosen.mebibytes), say, signal);
  for (const form of ['raw', 'zst'] as const) await images.make(form);
  const { rounds } = chosen;
  const findings = await measureLive({
    rounds,
    raw: images.path('raw'),
    zst: images.path('zst'),
    say,
    signal,
  });
  process.stdout.write(`\n${liveText(findings)}\n`);
  const report = chosen.report ?? (rounds >= fullRun.rounds ? document : null);
  if (report !== null) write(report, withLive(read(report), liveMarkdown(findings)));
}

const document = join(root, 'docs', 'performance.md');
const read = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');

function write(path: string, text: string): void {
  writeFileSync(path, text);
  say(`\nwrote ${path}`);
}

const chosen = options();
if (chosen) {
  const cleanup = new Cleanup();
  const signal = interruption();
  try {
    await (chosen.prepare ? prepare(chosen, signal) : benchAndTell(chosen, cleanup, signal));
  } catch (error) {
    say(`bench: ${error instanceof Error ? error.message : error}`);
    process.exitCode = signal.aborted ? 130 : 1;
  } finally {
    cleanup.run();
  }
}
