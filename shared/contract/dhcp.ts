/** How machines get addresses and boot files: settings per interface, reservations and leases, as the API shows them. */
import { type Static, Type } from 'typebox';
import { operations } from './operation.ts';

const Address = Type.String({ pattern: '^[0-9]{1,3}(\\.[0-9]{1,3}){3}$' });
const Network = Type.String({ pattern: '^[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}$' });
const Mac = Type.String({ pattern: '^[0-9a-f]{2}(:[0-9a-f]{2}){5}$' });
const HostName = Type.String({ pattern: '^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$' });
/** IFNAMSIZ of Linux: 15 characters. */
export const InterfaceName = Type.String({ pattern: '^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,14}$' });

export const DhcpSubnet = Type.Object(
  {
    network: Network,
    /** Without pools, the upper three quarters of the network. */
    pools: Type.Optional(Type.Array(Type.Object({ first: Address, last: Address }), { maxItems: 64 })),
    router: Type.Optional(Type.Union([Address, Type.Null()])),
    dns: Type.Optional(Type.Array(Address, { maxItems: 8 })),
    domain: Type.Optional(Type.Union([HostName, Type.Null()])),
    ntp: Type.Optional(Type.Array(Address, { maxItems: 8 })),
    routes: Type.Optional(Type.Array(Type.Object({ network: Network, gateway: Address }), { maxItems: 32 })),
    leaseSeconds: Type.Optional(Type.Integer({ minimum: 60, maximum: 31_536_000 })),
  },
  { additionalProperties: false },
);
export type DhcpSubnet = Static<typeof DhcpSubnet>;

export const DhcpMode = Type.Union([Type.Literal('off'), Type.Literal('proxy'), Type.Literal('full')]);
export type DhcpMode = Static<typeof DhcpMode>;

export const DhcpInterface = Type.Object(
  {
    interface: InterfaceName,
    mode: DhcpMode,
    /** True (default): a client with another network's address is told so at once. */
    authoritative: Type.Optional(Type.Boolean()),
    /** Start full mode although another DHCP server answers there. */
    anyway: Type.Optional(Type.Boolean()),
    /** What tells clients apart: the network card (default), or the identifier that they choose. */
    leaseBy: Type.Optional(Type.Union([Type.Literal('hardware'), Type.Literal('identifier')])),
    /** Without subnets, the interface's own network. */
    subnets: Type.Optional(Type.Array(DhcpSubnet, { maxItems: 256 })),
    relays: Type.Optional(Type.Array(Address, { maxItems: 256 })),
  },
  { additionalProperties: false },
);
export type DhcpInterface = Static<typeof DhcpInterface>;

const Form = Type.Union(
  (['full-43', 'full-plain', 'proxy-43', 'proxy-4011', 'proxy-67', 'http'] as const).map((form) =>
    Type.Literal(form),
  ),
);

/** What one machine, or all machines whose vendor class begins so, are given in place of the usual. */
export const BootOverride = Type.Object(
  {
    match: Type.Union([
      Type.Object({ mac: Mac }, { additionalProperties: false }),
      Type.Object(
        { vendorClass: Type.String({ minLength: 1, maxLength: 255 }) },
        { additionalProperties: false },
      ),
    ]),
    flavor: Type.Optional(
      Type.Union([Type.Literal('snponly'), Type.Literal('ipxe'), Type.Literal('native')]),
    ),
    file: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$', maxLength: 100 })),
    form: Type.Optional(Form),
  },
  { additionalProperties: false },
);
export type BootOverride = Static<typeof BootOverride>;

/** `PUT /dhcp`: everything that can be set while the appliance runs. */
export const DhcpSettings = Type.Object(
  {
    interfaces: Type.Array(DhcpInterface, { maxItems: 64 }),
    overrides: Type.Optional(Type.Array(BootOverride, { maxItems: 4096 })),
  },
  { additionalProperties: false },
);
export type DhcpSettings = Static<typeof DhcpSettings>;

export const DhcpReservation = Type.Object(
  { mac: Mac, address: Address, hostName: Type.Optional(Type.Union([HostName, Type.Null()])) },
  { additionalProperties: false },
);
export type DhcpReservation = Static<typeof DhcpReservation>;

export const DhcpLease = Type.Object(
  {
    address: Address,
    state: Type.Union([Type.Literal('bound'), Type.Literal('released'), Type.Literal('declined')]),
    key: Type.String({ maxLength: 1024 }),
    mac: Type.Union([Mac, Type.Null()]),
    uuid: Type.Union([Type.String({ maxLength: 36 }), Type.Null()]),
    hostName: Type.Union([Type.String({ maxLength: 255 }), Type.Null()]),
    vendorClass: Type.Union([Type.String({ maxLength: 255 }), Type.Null()]),
    interface: Type.String({ maxLength: 15 }),
    /** Milliseconds since 1970. */
    since: Type.Integer(),
    expires: Type.Integer(),
  },
  { additionalProperties: false },
);
export type DhcpLease = Static<typeof DhcpLease>;

/** Export and import of everything that is remembered. */
export const DhcpBook = Type.Object(
  {
    leases: Type.Array(DhcpLease, { maxItems: 1_048_576 }),
    reservations: Type.Array(DhcpReservation, { maxItems: 65_536 }),
  },
  { additionalProperties: false },
);
export type DhcpBook = Static<typeof DhcpBook>;

/** How one interface is doing. */
export const DhcpState = Type.Object({
  interface: Type.String(),
  mode: DhcpMode,
  /** Why it does not answer, or null when it does. */
  problem: Type.Union([Type.String(), Type.Null()]),
  /** Code and advice of that problem, and what its sentence speaks of. */
  code: Type.Union([Type.String(), Type.Null()]),
  advice: Type.Union([Type.String(), Type.Null()]),
  details: Type.Record(Type.String(), Type.Unknown()),
  addresses: Type.Array(Type.String()),
  /** Other DHCP servers that were seen there, by address. */
  foreign: Type.Array(Type.Object({ address: Type.String(), at: Type.Integer() })),
  received: Type.Integer(),
  answered: Type.Integer(),
  malformed: Type.Integer(),
  /** DISCOVERs of unknown machines that were left to their next try because too much else waited. */
  shed: Type.Integer(),
  /** Addresses that were offered without asking who uses them, because too many machines came at once. */
  unprobed: Type.Integer(),
});
export type DhcpState = Static<typeof DhcpState>;

/** How TFTP is doing on one address. */
export const TftpState = Type.Object({
  interface: Type.String(),
  address: Type.String(),
  /** Null while it does not serve. */
  port: Type.Union([Type.Integer(), Type.Null()]),
  /** Why it does not serve, or null when it does; with code, advice, and what the sentence speaks of. */
  problem: Type.Union([Type.String(), Type.Null()]),
  code: Type.Union([Type.String(), Type.Null()]),
  advice: Type.Union([Type.String(), Type.Null()]),
  details: Type.Record(Type.String(), Type.Unknown()),
  /** Transfers that run, ended well, asked for the size only, broke off, and were refused. */
  running: Type.Integer(),
  done: Type.Integer(),
  probes: Type.Integer(),
  failed: Type.Integer(),
  refused: Type.Integer(),
  /** Requests without answer: too many transfers at once, senders of elsewhere, no TFTP at all. */
  busy: Type.Integer(),
  foreign: Type.Integer(),
  malformed: Type.Integer(),
  /** Bytes that clients acknowledged. */
  bytes: Type.Integer(),
});
export type TftpState = Static<typeof TftpState>;

export const TftpStates = Type.Object({
  /** False when `--no-tftp` switched it off. */
  enabled: Type.Boolean(),
  servers: Type.Array(TftpState),
});
export type TftpStates = Static<typeof TftpStates>;

/** A client that is not there. */
export const DhcpQuestion = Type.Object(
  {
    mac: Mac,
    /** Number of option 93; without it the client wants no boot. */
    arch: Type.Optional(Type.Integer({ minimum: 0, maximum: 65535 })),
    userClass: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    vendorClass: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    /** Features of iPXE that option 175 names: `http`, `bzimage`, `efi`. */
    features: Type.Optional(
      Type.Array(Type.Union([Type.Literal('http'), Type.Literal('bzimage'), Type.Literal('efi')]), {
        maxItems: 3,
      }),
    ),
    message: Type.Optional(Type.Union([Type.Literal('discover'), Type.Literal('4011')])),
    interface: Type.Optional(InterfaceName),
  },
  { additionalProperties: false },
);
export type DhcpQuestion = Static<typeof DhcpQuestion>;

export const DhcpExplanation = Type.Object({
  interface: Type.String(),
  mode: DhcpMode,
  /** The packets in words. */
  question: Type.String(),
  answer: Type.Union([Type.String(), Type.Null()]),
  to: Type.Union([Type.String(), Type.Null()]),
  form: Type.Union([Type.String(), Type.Null()]),
  reasons: Type.Array(Type.Object({ rule: Type.String(), text: Type.String() })),
});
export type DhcpExplanation = Static<typeof DhcpExplanation>;

/** A page in place of everything: `after` is the last of the page before. */
const limit = Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 }));
const LeaseQuery = Type.Object({ limit, after: Type.Optional(Address) });
const ReservationQuery = Type.Object({ limit, after: Type.Optional(Mac) });
const paged =
  'the header `Link` with `rel="next"` has the address of the next page, and `X-Total-Count` says how many there are in all.';

const state = { 200: { sentence: 'How every interface is doing.', schema: Type.Array(DhcpState) } } as const;

export const dhcpOperations = operations({
  states: {
    name: 'dhcp.states',
    method: 'GET',
    path: '/dhcp',
    access: 'read',
    summary: 'How DHCP is doing on each interface, and which other servers were seen there.',
    replies: state,
  },
  tftp: {
    name: 'tftp.states',
    method: 'GET',
    path: '/tftp',
    access: 'read',
    summary: 'How TFTP is doing on each address, since it was opened.',
    replies: { 200: { sentence: 'How it is doing.', schema: TftpStates } },
  },
  settings: {
    name: 'dhcp.settings',
    method: 'GET',
    path: '/dhcp/settings',
    access: 'read',
    summary: 'The DHCP settings in force.',
    replies: { 200: { sentence: 'The settings.', schema: DhcpSettings } },
  },
  configure: {
    name: 'dhcp.configure',
    method: 'PUT',
    path: '/dhcp/settings',
    access: 'admin',
    summary: 'Changes the DHCP settings at once; when one interface cannot be served, nothing changes.',
    body: { kind: 'json', schema: DhcpSettings },
    replies: { ...state, 409: { sentence: 'Another server, program or a missing address is in the way.' } },
  },
  leases: {
    name: 'dhcp.leases',
    method: 'GET',
    path: '/dhcp/leases',
    access: 'read',
    summary: 'Every lease and reservation, in the form that import takes.',
    description: `With \`limit\` one page of the leases in the order of their addresses, and no reservations; ${paged}`,
    query: LeaseQuery,
    replies: { 200: { sentence: 'The book.', schema: DhcpBook } },
  },
  import: {
    name: 'dhcp.import',
    method: 'POST',
    path: '/dhcp/leases',
    access: 'admin',
    summary: 'Adds leases and reservations to those that are here; the given ones win.',
    body: { kind: 'json', schema: DhcpBook, bytes: 64 << 20 },
    replies: { 204: { sentence: 'They are on disk.' } },
  },
  forget: {
    name: 'dhcp.forget',
    method: 'DELETE',
    path: '/dhcp/leases/{address}',
    access: 'operate',
    summary: 'Ends a lease, as if it had never been.',
    replies: { 204: { sentence: 'It is gone.' } },
  },
  reservations: {
    name: 'dhcp.reservations',
    method: 'GET',
    path: '/dhcp/reservations',
    access: 'read',
    summary: 'Addresses that belong to one machine each.',
    description: `With \`limit\` one page in the order of their MACs; ${paged}`,
    query: ReservationQuery,
    replies: { 200: { sentence: 'The reservations.', schema: Type.Array(DhcpReservation) } },
  },
  reserve: {
    name: 'dhcp.reserve',
    method: 'PUT',
    path: '/dhcp/reservations/{mac}',
    access: 'operate',
    summary: 'Reserves an address for a machine.',
    body: { kind: 'json', schema: Type.Omit(DhcpReservation, ['mac']) },
    replies: { 200: { sentence: 'The reservation.', schema: DhcpReservation } },
  },
  unreserve: {
    name: 'dhcp.unreserve',
    method: 'DELETE',
    path: '/dhcp/reservations/{mac}',
    access: 'operate',
    summary: 'Ends a reservation.',
    replies: { 204: { sentence: 'It is gone.' } },
  },
  forgive: {
    name: 'dhcp.forgive',
    method: 'DELETE',
    path: '/dhcp/memory/{mac}',
    access: 'operate',
    summary: 'Forgets what was tried with a machine: reply forms, and a boot loop that was stopped.',
    replies: { 204: { sentence: 'It starts anew.' } },
  },
  explain: {
    name: 'dhcp.explain',
    method: 'POST',
    path: '/dhcp/explain',
    access: 'read',
    summary: 'What a client would be answered, and why, before any machine is powered.',
    body: { kind: 'json', schema: DhcpQuestion },
    replies: { 200: { sentence: 'The answer on each interface.', schema: Type.Array(DhcpExplanation) } },
  },
});
