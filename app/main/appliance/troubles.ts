import { existsSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { type Static, Type } from 'typebox';
import { type FailureReport, failure, failureCodes } from '../../../shared/failure.ts';

/** What is seen of an interface from outside, without rights. */
export interface Glimpse {
  readonly present: boolean;
  readonly up: boolean;
  readonly link: boolean;
  readonly address: boolean;
}

/** What is read of `GET /dhcp`; keys that are added over time are passed over. */
export const DhcpStates = Type.Array(
  Type.Object({
    interface: Type.String({ maxLength: 15 }),
    problem: Type.Union([Type.String({ maxLength: 4096 }), Type.Null()]),
    code: Type.Union([Type.String({ pattern: '^[A-Z_]{1,64}$' }), Type.Null()]),
    advice: Type.Union([Type.String({ maxLength: 4096 }), Type.Null()]),
    /** An older appliance that was left running does not tell them. */
    details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  }),
  { maxItems: 64 },
);
export type DhcpStates = Static<typeof DhcpStates>;

/** Why machines on `name` are not answered, the nearest cause first; what follows from another cause is left out. */
export function troublesOf(name: string, glimpse: Glimpse, dhcp: DhcpStates): readonly FailureReport[] {
  const told = reportsOf(dhcp.filter((state) => state.interface === name));
  if (!glimpse.present) {
    if (told.some(({ code }) => code === 'NO_SUCH_INTERFACE')) return told;
    return [failure('NO_SUCH_INTERFACE', { interface: name, known: 'others' }).report()];
  }
  if (!glimpse.up) return [failure('INTERFACE_DOWN', { interface: name }).report()];
  if (!glimpse.link) return [failure('INTERFACE_UNPLUGGED', { interface: name }).report()];
  if (!glimpse.address && told.length === 0) return [failure('NO_ADDRESS', { interface: name }).report()];
  return told;
}

function reportsOf(states: DhcpStates): readonly FailureReport[] {
  return states.flatMap(({ problem, code, advice, details = {} }) => {
    if (problem === null) return [];
    const known = failureCodes.find((name) => name === code) ?? 'INTERNAL';
    return [{ code: known, message: problem, advice: advice ?? '', details }];
  });
}

/** Looks at the interface called `name`; a few short reads. */
export function glimpseOf(name: string): Glimpse {
  const folder = `/sys/class/net/${name}`;
  const read = (fact: string) => {
    try {
      return readFileSync(`${folder}/${fact}`, 'utf8').trim();
    } catch {
      return '';
    }
  };
  const present = existsSync(folder);
  const up = (Number(read('flags')) & 1) === 1;
  const link = up && read('carrier') === '1';
  const address = networkInterfaces()[name]?.some(({ family }) => family === 'IPv4') ?? false;
  return { present, up, link, address };
}
