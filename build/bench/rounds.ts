import { readFileSync } from 'node:fs';
import { warm } from './disk.ts';
import type { Disks } from './disks.ts';
import type { Contender, Group } from './groups.ts';
import type { Images } from './image.ts';
import type { Medium } from './options.ts';
import { measure, type Usage } from './pipeline.ts';
import { mappedRanges, type Range } from './ranges.ts';
import { rotate } from './statistics.ts';
import { missing, needs } from './tools.ts';

/** What became of one contender on one medium. */
export interface Tally {
  readonly usages: Usage[];
  /** Why it takes no (further) part. */
  out: string | null;
  /** Whether it took part and did not do its work. */
  failed: boolean;
}

export interface Race {
  readonly program: string;
  readonly images: Images;
  readonly disks: readonly Disks[];
  readonly groups: readonly Group[];
  readonly rounds: number;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

export type Tallies = ReadonlyMap<Contender, Tally>;

/**
 * Lets all contenders of all groups run in every round, each time in another order. After an abort in the midst of
 * it, gives what was measured until then.
 */
export async function runRounds(race: Race): Promise<ReadonlyMap<Medium, Tallies>> {
  const results = new Map<Medium, Map<Contender, Tally>>();
  for (const disks of race.disks) results.set(disks.medium, await enter(race, disks));
  const began = performance.now();
  try {
    for (let round = 0; round < race.rounds; round++) {
      for (const disks of rotate(race.disks, round)) {
        await runRound(race, disks, results.get(disks.medium) ?? new Map(), round);
      }
      if (round === 0 && race.rounds > 1) {
        const minutes = ((performance.now() - began) / 60_000) * (race.rounds - 1);
        race.say(`about ${minutes.toFixed(0)} minutes to go`);
      }
    }
  } catch (error) {
    if (!race.signal.aborted) throw error;
    race.say('interrupted; what follows was measured until then');
  }
  return results;
}

async function runRound(race: Race, disks: Disks, tallies: Tallies, round: number): Promise<void> {
  for (const group of rotate(race.groups, round)) {
    if (!group.media.includes(disks.medium)) continue;
    for (const contender of rotate(group.contenders, round)) {
      const tally = tallies.get(contender);
      if (tally && tally.out === null) await takeTurn(race, disks, contender, tally, round);
    }
    disks.discardMore();
  }
}

/** Says who can take part, and makes what they read. */
async function enter({ images, groups }: Race, disks: Disks): Promise<Map<Contender, Tally>> {
  const tallies = new Map<Contender, Tally>();
  const here = groups.filter(({ media }) => media.includes(disks.medium));
  for (const contender of here.flatMap(({ contenders }) => contenders)) {
    const lacking = [...missing(contender.tools), ...contender.reads.flatMap((form) => images.lacking(form))];
    const out = lacking.length > 0 ? needs([...new Set(lacking)]) : disks.shortage(contender.targets);
    tallies.set(contender, { usages: [], out, failed: false });
    if (out === null) for (const form of contender.reads) await images.make(form);
  }
  return tallies;
}

async function takeTurn(
  race: Race,
  disks: Disks,
  contender: Contender,
  tally: Tally,
  round: number,
): Promise<void> {
  const { program, images, signal } = race;
  const targets = disks.take(contender.targets);
  // In the first round what is left on the disks is looked at, so nothing may be there from the one before.
  for (const disk of targets) await disk.condition(signal, round === 0);
  for (const form of contender.reads) await warm(images.path(form), signal);
  for (const disk of targets) disk.flush();
  const place = {
    program,
    path: (form: Parameters<Images['path']>[0]) => images.path(form),
    imageBytes: images.bytes,
    devices: targets.map(({ device }) => device),
  };
  const label = `${round + 1}/${race.rounds} ${disks.medium}  ${contender.reads[0]}  ${contender.name}`;
  try {
    const usage = await measure(contender.pipelines(place), signal);
    if (contender.discards) for (const disk of targets) disk.markUneven();
    race.say(`${label}  ${told(usage)}`);
    if (round === 0) {
      for (const disk of targets) await expectImage(contender, images, disk, signal);
    }
    tally.usages.push(usage);
  } catch (error) {
    signal.throwIfAborted();
    tally.failed = true;
    const message = error instanceof Error ? error.message : String(error);
    tally.out = message.replaceAll(`${images.folder}/`, '');
    race.say(`${label}  FAILED: ${tally.out}`);
  }
}

const told = ({ wall, cpu, peak }: Usage) =>
  `${wall.toFixed(2)} s, CPU ${cpu.toFixed(2)} s, ${(peak / 2 ** 20).toFixed(0)} MiB`;

async function expectImage(
  { leaves }: Contender,
  images: Images,
  disk: Disks['first'],
  signal: AbortSignal,
): Promise<void> {
  const ranges: readonly Range[] =
    leaves === 'image'
      ? [{ start: 0, end: images.bytes }]
      : mappedRanges(readFileSync(images.path('bmap'), 'utf8'), images.bytes);
  const at = await disk.difference(images.path('raw'), ranges, signal);
  if (at !== null)
    throw new Error(`it left other bytes than the image's on ${disk.device}, from byte ${at} on`);
}
