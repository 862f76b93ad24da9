/** Structured lines on standard error: one JSON object each, or text for a person. */
export type Level = 'error' | 'warn' | 'info' | 'debug';
const levels = ['error', 'warn', 'info', 'debug'] as const satisfies readonly Level[];

export type Fields = Readonly<Record<string, unknown>>;

export interface Log {
  readonly error: (message: string, fields?: Fields) => void;
  readonly warn: (message: string, fields?: Fields) => void;
  readonly info: (message: string, fields?: Fields) => void;
  readonly debug: (message: string, fields?: Fields) => void;
}

export interface LogOptions {
  readonly format: 'json' | 'text';
  readonly level: Level;
  readonly write: (line: string) => void;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

export function makeLog({ format, level, write, clock }: LogOptions): Log {
  const say =
    (at: Level) =>
    (message: string, fields: Fields = {}) => {
      if (levels.indexOf(at) > levels.indexOf(level)) return;
      const time = new Date(clock()).toISOString();
      if (format === 'json') write(`${JSON.stringify({ time, level: at, message, ...fields })}\n`);
      else {
        const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
        write(`${time} ${at.padEnd(5)} ${message}${rest.join('')}\n`);
      }
    };
  return { error: say('error'), warn: say('warn'), info: say('info'), debug: say('debug') };
}
