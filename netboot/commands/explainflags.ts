/** The flags of `bty-web explain`, apart from the command so that reading a command line loads little. */

/** Flags of `explain` itself; the others are those of every command. */
export const explainFlags = {
  mac: { type: 'string' },
  arch: { type: 'string' },
  'user-class': { type: 'string' },
  'vendor-class': { type: 'string' },
  features: { type: 'string' },
  message: { type: 'string' },
  json: { type: 'boolean' },
} as const;

/** Parts the flags of `explain` from those that every command takes. */
export function splitFlags(args: readonly string[]): { own: string[]; rest: string[] } {
  const own: string[] = [];
  const rest: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? '';
    const name = arg.replace(/^--/, '').split('=')[0] ?? '';
    const flag = arg.startsWith('--') ? explainFlags[name as keyof typeof explainFlags] : undefined;
    const into = flag === undefined ? rest : own;
    into.push(arg);
    if (flag?.type !== 'string' || arg.includes('=') || at + 1 >= args.length) continue;
    own.push(args[++at] ?? '');
  }
  return { own, rest };
}
