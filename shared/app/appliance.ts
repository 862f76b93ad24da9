/** Appliance mode: what a person chooses before an appliance is started from the app, and what the window shows of it. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { NetworkInterface } from '../desktop/interface.ts';
import type { FailureReport } from '../failure.ts';

const closed = { additionalProperties: false } as const;
const interfaceName = Type.String({ pattern: '^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,14}$' });
const ipv4 = Type.String({ pattern: '^[0-9]{1,3}(\\.[0-9]{1,3}){3}$' });

export const ApplianceWish = Type.Object(
  {
    interface: interfaceName,
    mode: Type.Union([Type.Literal('proxy'), Type.Literal('full')]),
    /** Addresses that full DHCP leases; null for those that the appliance derives from the interface. */
    pool: Type.Union([Type.Object({ first: ipv4, last: ipv4 }, closed), Type.Null()]),
    /** Null: a folder of the app's own. */
    imageFolder: Type.Union([Type.String({ minLength: 1, maxLength: 4096 }), Type.Null()]),
    /** TCP port of its pages, and of what machines fetch. */
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    /** Goes on when the app is closed. */
    stay: Type.Boolean(),
  },
  closed,
);
export type ApplianceWish = Static<typeof ApplianceWish>;

/** Where the appliance's own pages are drawn, in pixels of the window; null: they are not seen. */
export const ApplianceFrame = Type.Object(
  {
    frame: Type.Union([
      Type.Null(),
      Type.Object(
        {
          x: Type.Integer({ minimum: 0, maximum: 32_768 }),
          y: Type.Integer({ minimum: 0, maximum: 32_768 }),
          width: Type.Integer({ minimum: 1, maximum: 32_768 }),
          height: Type.Integer({ minimum: 1, maximum: 32_768 }),
        },
        closed,
      ),
    ]),
  },
  closed,
);
export type ApplianceFrame = Static<typeof ApplianceFrame>['frame'];

export const defaultWish: Omit<ApplianceWish, 'interface'> = {
  mode: 'proxy',
  pool: null,
  imageFolder: null,
  port: 8080,
  stay: false,
};

/** A wish as it was stored, null when there was none. */
export function wishIn(stored: unknown): ApplianceWish | null {
  return Check(ApplianceWish, stored) ? stored : null;
}

/** How far it is. Times are milliseconds since 1970. */
export type ApplianceStage =
  | { readonly kind: 'off' }
  /** The system asks the person for permission; for as long as it takes. */
  | { readonly kind: 'asking'; readonly since: number; readonly tries: number }
  | { readonly kind: 'starting'; readonly since: number; readonly tries: number }
  | { readonly kind: 'running'; readonly since: number; readonly tries: number }
  /** It ended, and is started again then. */
  | {
      readonly kind: 'waiting';
      readonly until: number;
      readonly tries: number;
      readonly failure: FailureReport;
    }
  /** It is to end; with a failure, to be started again because of it. */
  | {
      readonly kind: 'stopping';
      readonly since: number;
      readonly tries: number;
      readonly failure: FailureReport | null;
    }
  /** It is not started again before the person does something. */
  | { readonly kind: 'failed'; readonly failure: FailureReport };

export interface ApplianceCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly reason: string | null;
}

/** What is known of a running appliance. */
export interface ApplianceFacts {
  readonly interface: string;
  readonly mode: 'off' | 'proxy' | 'full';
  readonly imageFolder: string;
  readonly version: string;
  /** Addresses that browsers elsewhere reach it at. */
  readonly addresses: readonly string[];
  /** Whether it brought pages of its own. */
  readonly pages: boolean;
  /** What stands in the way of booting machines now. */
  readonly troubles: readonly FailureReport[];
  readonly checks: readonly ApplianceCheck[];
}

export interface ApplianceState {
  readonly stage: ApplianceStage;
  /** What was chosen last, null when nothing ever was. */
  readonly wish: ApplianceWish | null;
  /** Null before they were looked for. */
  readonly interfaces: readonly NetworkInterface[] | null;
  /** Why they cannot be listed, or why there is no appliance mode here. */
  readonly problem: FailureReport | null;
  /** Null unless it runs. */
  readonly facts: ApplianceFacts | null;
  /** Folder that images lie in when none is chosen. */
  readonly ownFolder: string;
}

export interface MachineShown {
  readonly mac: string;
  readonly name: string | null;
  readonly address: string | null;
  readonly phase: string;
  readonly policy: string;
  /** ISO 8601, null when it was never seen. */
  readonly seen: string | null;
}

export interface StepShown {
  readonly at: string;
  readonly kind: string;
  readonly detail: string;
}

/** The newest boot of one machine. */
export interface StoryShown {
  readonly mac: string;
  readonly state: 'running' | 'done' | 'stopped' | 'failed';
  readonly cause: string;
  readonly advice: string;
  readonly steps: readonly StepShown[];
}

export interface Machines {
  readonly machines: readonly MachineShown[];
  /** Story of the machine that the person looks at. */
  readonly story: StoryShown | null;
}

export interface LogLine {
  /** ISO 8601, null for a line that is none of the log's own. */
  readonly time: string | null;
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  readonly text: string;
}
/** Most lines of the log that the window is given. */
export const logLength = 500;

/** One line of the appliance's log, which is JSON but for what Node.js itself prints. */
export function logLineIn(line: string): LogLine {
  const short = line.slice(0, 4000);
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null) return { time: null, level: 'info', text: short };
    const { time, level, message, ...rest } = value as Record<string, unknown>;
    const fields = Object.entries(rest).map(
      ([key, field]) => `${key}=${typeof field === 'string' ? field : JSON.stringify(field)}`,
    );
    return {
      time: typeof time === 'string' ? time.slice(0, 40) : null,
      level: level === 'error' || level === 'warn' || level === 'debug' ? level : 'info',
      text: [String(message ?? ''), ...fields].join(' ').slice(0, 4000),
    };
  } catch {
    return { time: null, level: 'info', text: short };
  }
}
