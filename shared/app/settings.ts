/** What a person sets once, and the history of what was written; both stay on this machine. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';

const closed = { additionalProperties: false } as const;
const bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

export const VerifyChoice = Type.Union([Type.Literal('full'), Type.Literal('written'), Type.Literal('none')]);

export const Settings = Type.Object(
  {
    /** How much is read back after writing. */
    verify: VerifyChoice,
    /** Paths and addresses of catalogs, in the order of their list. */
    catalogs: Type.Array(Type.String({ minLength: 1, maxLength: 4096 }), { maxItems: 32 }),
    /** Whether what was written to which disk is remembered on this machine. */
    keepHistory: Type.Boolean(),
    /** Whether loop devices are listed and may be written. */
    allowLoops: Type.Boolean(),
    /** Size of the file that stands for a disk to try things out with; null when there is none. */
    virtualDisk: Type.Union([Type.Integer({ minimum: 1024 * 1024, maximum: 2 ** 44 }), Type.Null()]),
    language: Type.Union([Type.Literal('system'), Type.Literal('en'), Type.Literal('de')]),
  },
  closed,
);
export type Settings = Static<typeof Settings>;

export const SettingsPatch = Type.Partial(Settings, closed);
export type SettingsPatch = Static<typeof SettingsPatch>;

export const defaultSettings: Settings = {
  verify: 'full',
  catalogs: [],
  keepHistory: true,
  allowLoops: false,
  virtualDisk: null,
  language: 'system',
};

/** Settings as they were stored: what does not fit is as if it had never been set. */
export function settingsIn(stored: unknown): Settings {
  if (typeof stored !== 'object' || stored === null) return defaultSettings;
  const fitting = Object.entries(Settings.properties).filter(
    ([key, schema]) => Object.hasOwn(stored, key) && Check(schema, (stored as Record<string, unknown>)[key]),
  );
  const kept = Object.fromEntries(fitting.map(([key]) => [key, (stored as Record<string, unknown>)[key]]));
  return { ...defaultSettings, ...(kept as SettingsPatch) };
}

export const HistoryEntry = Type.Object(
  {
    /** Milliseconds since 1970. */
    at: bytes,
    image: Type.String({ maxLength: 4096 }),
    disk: Type.String({ maxLength: 4096 }),
    serial: Type.Union([Type.String({ maxLength: 1024 }), Type.Null()]),
    /** Bytes of the disk. */
    size: bytes,
    outcome: Type.Union([Type.Literal('done'), Type.Literal('failed'), Type.Literal('cancelled')]),
    verified: Type.Boolean(),
    /** Bytes of the image that were written. */
    written: bytes,
  },
  closed,
);
export type HistoryEntry = Static<typeof HistoryEntry>;

/** Most entries that are kept. */
export const historyLength = 500;

/** A stored history, newest first; entries that do not fit are left out. */
export function historyIn(stored: unknown): readonly HistoryEntry[] {
  if (!Array.isArray(stored)) return [];
  return stored.slice(0, historyLength).filter((entry): entry is HistoryEntry => Check(HistoryEntry, entry));
}

/** Images chosen before, newest first. */
export const recentLength = 12;
const Recent = Type.Object({
  location: Type.String({ minLength: 1, maxLength: 4096 }),
  name: Type.String({ minLength: 1, maxLength: 4096 }),
  /** SHA-256 that was stated for it, so that it is not chosen again without. */
  sha256: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
});
export type Recent = Static<typeof Recent>;

export function recentIn(stored: unknown): readonly Recent[] {
  if (!Array.isArray(stored)) return [];
  return stored.slice(0, recentLength).filter((entry): entry is Recent => Check(Recent, entry));
}

/** `recent` after `newest` was chosen. */
export function remembered(recent: readonly Recent[], newest: Recent): readonly Recent[] {
  return [newest, ...recent.filter(({ location }) => location !== newest.location)].slice(0, recentLength);
}
