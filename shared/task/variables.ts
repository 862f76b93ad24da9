/** What a command may ask of the machine that it runs on: `{{ machine.hostname }}`. Pure. */

/** What is known of a machine. */
export interface TaskMachine {
  readonly mac: string;
  readonly hostname: string | null;
  readonly address: string;
  readonly image_sha256: string | null;
  readonly labels: Readonly<Record<string, string>>;
}

/** `{{ … }}`; whatever stands between, with the spaces around it: two counts of spaces would be tried in every way. */
const reference = /\{\{([^{}]{0,200})\}\}/g;
const plain = ['machine.mac', 'machine.hostname', 'machine.address', 'machine.image_sha256'] as const;
const label = /^machine\.labels\.([A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?)$/;
/** Text that means itself to a shell, in quotes and without, and that no program takes for an option. */
const harmless = /^[A-Za-z0-9_./:@%+,=][A-Za-z0-9_./:@%+,=-]*$/;

/** Names that may stand in `{{ }}`, for a person. */
export const variableNames = [...plain, 'machine.labels.NAME'].join(', ');

const namesIn = (text: string) => [...text.matchAll(reference)].map(([, name = '']) => name.trim());

/** Names in `text` that mean nothing. */
export function unknownVariables(text: string): readonly string[] {
  return namesIn(text).filter((name) => !plain.some((known) => known === name) && !label.test(name));
}

/** Why `text` cannot be used for `machine`, null when it can. */
export function variableProblem(text: string, machine: TaskMachine): string | null {
  for (const name of namesIn(text)) {
    const value = meaningOf(name, machine);
    if (value === null || value === '') return `the machine has no ${name}`;
    if (!harmless.test(value)) return `${name} holds letters that a shell would not take as they are`;
  }
  return null;
}

/** `text` with the values of `machine`; only where `variableProblem` found none. */
export function expanded(text: string, machine: TaskMachine): string {
  return text.replaceAll(reference, (whole, name: string) => meaningOf(name.trim(), machine) ?? whole);
}

/** `value` as one word of a POSIX shell, whatever it holds. */
export function shellWord(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}

function meaningOf(name: string, machine: TaskMachine): string | null {
  const named = label.exec(name)?.[1];
  if (named !== undefined)
    return Object.hasOwn(machine.labels, named) ? (machine.labels[named] ?? null) : null;
  switch (name) {
    case 'machine.mac':
      return machine.mac;
    case 'machine.hostname':
      return machine.hostname;
    case 'machine.address':
      return machine.address;
    case 'machine.image_sha256':
      return machine.image_sha256;
    default:
      return null;
  }
}
