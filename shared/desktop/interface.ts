/** Network interfaces as `bty-web desktop interfaces` prints them: what a person chooses from. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';

const strict = { additionalProperties: false } as const;
const address = Type.String({ pattern: '^[0-9]{1,3}(\\.[0-9]{1,3}){3}$' });

export const NetworkInterface = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 15 }),
    mac: Type.String({ maxLength: 64 }),
    kind: Type.Union([Type.Literal('wired'), Type.Literal('wireless'), Type.Literal('virtual')]),
    /** Null: it has none. */
    address: Type.Union([Type.Null(), Type.Object({ ip: address, prefix: Type.Integer() }, strict)]),
    up: Type.Boolean(),
    /** Whether something is at the other end of its cable. */
    link: Type.Boolean(),
    /** Megabits in a second, null where unknown. */
    speed: Type.Union([Type.Null(), Type.Integer({ minimum: 1 })]),
    /** Router that this machine reaches the world by through it. */
    router: Type.Union([Type.Null(), address]),
    /** Other DHCP servers that answered there; null where they were not, or could not be, looked for. */
    servers: Type.Union([Type.Null(), Type.Array(address, { maxItems: 16 })]),
    /** Addresses that full DHCP would lease, null where there is no address to derive them from. */
    pool: Type.Union([Type.Null(), Type.Object({ first: address, last: address }, strict)]),
  },
  strict,
);
export type NetworkInterface = Static<typeof NetworkInterface>;

const InterfaceList = Type.Object(
  { interfaces: Type.Array(NetworkInterface, { maxItems: 1024 }) },
  { additionalProperties: false },
);

/** What was printed, null when it is no such list. */
export function interfacesIn(printed: unknown): readonly NetworkInterface[] | null {
  return Check(InterfaceList, printed) ? printed.interfaces : null;
}

/** The network that an address is in: `10.77.0.0/16` of 10.77.3.1 with a prefix of 16. */
export function networkOf({ ip, prefix }: { readonly ip: string; readonly prefix: number }): string {
  const bytes = ip.split('.').map(Number);
  const kept = bytes.map((byte, index) => {
    const bits = Math.min(8, Math.max(0, prefix - 8 * index));
    return byte & (0xff << (8 - bits)) & 0xff;
  });
  return `${kept.join('.')}/${prefix}`;
}

/** Whether `text` is an address of a machine in the network of `own`. */
export function holdsAddress(own: { readonly ip: string; readonly prefix: number }, text: string): boolean {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text) || text.split('.').some((byte) => Number(byte) > 255))
    return false;
  return networkOf({ ip: text, prefix: own.prefix }) === networkOf(own);
}
