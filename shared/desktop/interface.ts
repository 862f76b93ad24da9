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
