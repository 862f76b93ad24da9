import type { ReactNode } from 'react';

interface Size {
  readonly size?: number;
}

/** Our own icons: 24 by 24, one stroke, in the colour of the text around them. Never the only bearer of a meaning. */
function Drawing({ parts, size = 20 }: Size & { readonly parts: readonly ReactNode[] }) {
  return (
    <svg
      className="icon"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.75"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      {parts}
    </svg>
  );
}

export const icon =
  (...parts: readonly ReactNode[]) =>
  (props: Size) => <Drawing parts={parts} {...props} />;
export const path = (d: string) => <path key={d} d={d} />;
export const dot = (cx: number, cy: number, r = 1) => (
  <circle key={`${cx} ${cy}`} cx={cx} cy={cy} r={r} fill="currentColor" stroke="none" />
);
export const ring = (cx: number, cy: number, r: number) => (
  <circle key={`r${cx} ${cy}`} cx={cx} cy={cy} r={r} />
);

export const UsbIcon = icon(
  path('M8 10V4.6a.6.6 0 0 1 .6-.6h6.8a.6.6 0 0 1 .6.6V10'),
  path('M6 10h12v8.5a2.5 2.5 0 0 1-2.5 2.5h-7A2.5 2.5 0 0 1 6 18.500z'),
  path('M10.500 6.800v.4M13.500 6.800v.4'),
);
export const CardIcon = icon(
  path(
    'M7 3h7l4 4v12.500a1.500 1.500 0 0 1-1.500 1.500h-9.500A1.500 1.500 0 0 1 5.500 19.500v-15A1.500 1.500 0 0 1 7 3z',
  ),
  path('M9 6.500v2.500M12 6.500v2.500M15 8v1'),
);
export const DriveIcon = icon(
  path('M4 14.500 6.300 6A2 2 0 0 1 8.200 4.500h7.600A2 2 0 0 1 17.700 6L20 14.500'),
  path(
    'M5.500 14.500h13A1.500 1.500 0 0 1 20 16v2.500a1.500 1.500 0 0 1-1.500 1.500h-13A1.500 1.500 0 0 1 4 18.500V16a1.500 1.500 0 0 1 1.500-1.500z',
  ),
  dot(16.5, 17.25),
);
export const FlaskIcon = icon(
  path(
    'M9.500 3.500h5M10.500 3.500v5.200L5.600 17a2.400 2.400 0 0 0 2.100 3.500h8.600a2.400 2.400 0 0 0 2.100-3.500l-4.900-8.300V3.500',
  ),
  path('M8 14.500h8'),
);
export const ImageIcon = icon(
  ring(12, 12, 8.5),
  ring(12, 12, 2.5),
  path('M12 3.500a8.500 8.500 0 0 1 7.400 4.300'),
);
export const FolderIcon = icon(
  path(
    'M3.500 7.500v10A2 2 0 0 0 5.500 19.500h13a2 2 0 0 0 2-2V9.500a2 2 0 0 0-2-2H12L10 5H5.500a2 2 0 0 0-2 2z',
  ),
);
export const LinkIcon = icon(
  path('M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.700-5.700l-1.300 1.300'),
  path('M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.700 5.700L12 17'),
);
export const ListIcon = icon(
  path('M9 6h11M9 12h11M9 18h11'),
  dot(4.5, 6, 1.2),
  dot(4.5, 12, 1.2),
  dot(4.5, 18, 1.2),
);
export const ClockIcon = icon(ring(12, 12, 8.5), path('M12 7.500V12l3 2'));
export const GearIcon = icon(
  ring(12, 12, 3),
  path(
    'M19.200 14.500l1.300 1-1.800 3.100-1.600-.6a7.300 7.300 0 0 1-2 1.200l-.3 1.700h-3.600l-.3-1.700a7.300 7.300 0 0 1-2-1.200l-1.600.6-1.800-3.100 1.300-1a7.400 7.400 0 0 1 0-2.300l-1.300-1 1.800-3.100 1.600.6a7.300 7.300 0 0 1 2-1.200l.3-1.700h3.600l.3 1.700a7.300 7.300 0 0 1 2 1.200l1.600-.6 1.800 3.100-1.300 1a7.400 7.400 0 0 1 0 2.300z',
  ),
);
export const BoltIcon = icon(path('M13 3 5.500 13.500H11L10 21l8-11h-5.500z'));
export const CheckIcon = icon(path('M5 12.500 10 17.500 19.500 7'));
export const CrossIcon = icon(path('M6 6l12 12M18 6 6 18'));
export const WarnIcon = icon(path('M12 4.200 21 19.500H3z'), path('M12 10v4.500'), dot(12, 17));
export const InfoIcon = icon(ring(12, 12, 8.5), path('M12 11.200v5'), dot(12, 8));
export const LockIcon = icon(
  path(
    'M6.500 11h11A1.500 1.500 0 0 1 19 12.500v6a1.500 1.500 0 0 1-1.500 1.500h-11A1.500 1.500 0 0 1 5 18.500v-6A1.500 1.500 0 0 1 6.500 11z',
  ),
  path('M8 11V8a4 4 0 0 1 8 0v3'),
);
export const StopIcon = icon(ring(12, 12, 8.5), path('M9 9l6 6M15 9l-6 6'));
export const SkipIcon = icon(path('M5.500 6l7 6-7 6zM13 6l6 6-6 6'));
export const PlusIcon = icon(path('M12 5v14M5 12h14'));
export const RetryIcon = icon(path('M19.500 12a7.500 7.500 0 1 1-2.300-5.400'), path('M19.500 3.500v4h-4'));
export const CopyIcon = icon(
  path(
    'M10 8.500h8A1.500 1.500 0 0 1 19.500 10v9a1.500 1.500 0 0 1-1.500 1.500h-8A1.500 1.500 0 0 1 8.500 19v-9A1.500 1.500 0 0 1 10 8.500z',
  ),
  path(
    'M15.500 8.500V5A1.500 1.500 0 0 0 14 3.500H6A1.500 1.500 0 0 0 4.500 5v9A1.500 1.500 0 0 0 6 15.500h2.500',
  ),
);
export const SaveIcon = icon(path('M12 4v10.500M7.500 10.500 12 15l4.500-4.500'), path('M5 19.500h14'));
export const TerminalIcon = icon(
  path(
    'M5 4.500h14A1.500 1.500 0 0 1 20.500 6v12a1.500 1.500 0 0 1-1.500 1.500H5A1.500 1.500 0 0 1 3.500 18V6A1.500 1.500 0 0 1 5 4.500z',
  ),
  path('M7.500 9.500 10 12l-2.500 2.500M12.500 14.500h4'),
);
export const NetworkIcon = icon(
  path('M10 4.500h4v4h-4zM4 15.500h4v4H4zM16 15.500h4v4h-4z'),
  path('M12 8.500V12M6 15.500V12h12v3.500'),
);
export const DownIcon = icon(path('M6 9.500l6 6 6-6'));

/** The mark of the app: a disk with a bolt through it. */
export function Mark({ size = 28 }: Size) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="9" className="mark-ground" />
      <path d="M17.800 5.500 9 18h6l-1.300 8.500L22.800 14h-6z" className="mark-bolt" />
    </svg>
  );
}
