/** Numbers as a person reads them, in the language of the window. */

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Powers of ten, as disks are sold: `2.0 GB`. */
export function bytesText(bytes: number, language: string): string {
  let exponent = 0;
  while (exponent < units.length - 1 && bytes >= 1000 ** (exponent + 1)) exponent++;
  const value = bytes / 1000 ** exponent;
  const digits = exponent === 0 || value >= 100 ? 0 : 1;
  const number = new Intl.NumberFormat(language, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return `${number.format(value)}\u202f${units[exponent]}`;
}

/** `0.4 s` where a clock would show next to nothing, else as `timeText`. */
export function durationText(seconds: number, language: string): string {
  if (seconds >= 10) return timeText(seconds);
  return `${new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(seconds)}\u202fs`;
}

/** `0:42`, `12:05`, `1:02:03`. */
export function timeText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, '0'))).join(':');
}

export function percentText(share: number, language: string): string {
  return new Intl.NumberFormat(language, { style: 'percent' }).format(Math.floor(share * 100) / 100);
}

export function dateText(at: number, language: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }).format(at);
}

/** Time of day with milliseconds, in the time zone of this computer. `at`: milliseconds since 1970. */
export function clockText(at: number, language: string): string {
  const known = clocks.get(language);
  const clock =
    known ??
    new Intl.DateTimeFormat(language, {
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      fractionalSecondDigits: 3,
      hourCycle: 'h23',
    });
  clocks.set(language, clock);
  return clock.format(at);
}
/** Formats are costly to make, and a log needs the same one in every line. */
const clocks = new Map<string, Intl.DateTimeFormat>();
