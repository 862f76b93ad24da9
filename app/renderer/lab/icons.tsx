import { dot, icon, path, ring } from '../icons.tsx';

export const HomeIcon = icon(
  path('M4 11.500 12 4.500l8 7'),
  path('M6 10v9.500h12V10'),
  path('M10 19.500v-5h4v5'),
);
export const MachineIcon = icon(
  path(
    'M5.500 3.500h13A1.500 1.500 0 0 1 20 5v4.500a1.500 1.500 0 0 1-1.500 1.500h-13A1.500 1.500 0 0 1 4 9.500V5a1.500 1.500 0 0 1 1.500-1.500z',
  ),
  path(
    'M5.500 13h13a1.500 1.500 0 0 1 1.500 1.500V19a1.500 1.500 0 0 1-1.500 1.500h-13A1.500 1.500 0 0 1 4 19v-4.500A1.500 1.500 0 0 1 5.500 13z',
  ),
  dot(7.5, 7.25),
  dot(7.5, 16.75),
);
export const NetworkIcon = icon(
  path('M9 3.500h6v5H9zM3.500 15.500h6v5h-6zM14.500 15.500h6v5h-6z'),
  path('M12 8.500v3.500M6.500 15.500V12h11v3.500'),
);
export const TaskIcon = icon(
  path(
    'M4 6l2 2 3-3.500M4 12.500l2 2 3-3.500M4 19l2 2 3-3.500M12.500 7h7.500M12.500 13.500h7.500M12.500 20h7.500',
  ),
);
export const SearchIcon = icon(ring(10.5, 10.5, 6), path('M15 15l5 5'));
export const FilterIcon = icon(path('M4 6h16M7 12h10M10 18h4'));
export const UploadIcon = icon(path('M12 15V4.500M7.500 9 12 4.500 16.500 9'), path('M5 19.500h14'));
export const TrashIcon = icon(path('M5 7h14M9.500 7V4.500h5V7M7 7l1 13h8l1-13'));
export const BackIcon = icon(path('M14.500 5.500 8 12l6.500 6.500'));
export const UpIcon = icon(path('M6 14.500l6-6 6 6'));
export const PrintIcon = icon(
  path('M7 9V4h10v5M7 17H4.500v-6.500A1.500 1.500 0 0 1 6 9h12a1.500 1.500 0 0 1 1.500 1.500V17H17'),
  path('M7 14.500h10V20H7z'),
);
export const KeyIcon = icon(ring(8, 15, 4), path('M11 12l8-8M16 7l2.500 2.500'));
export const ExitIcon = icon(path('M10 4.500H5.500v15H10'), path('M15 8l4 4-4 4M19 12H9.500'));
export const TagIcon = icon(path('M4 4.500h7.500l8.500 8.500-7 7L4.500 11.500z'), dot(8, 8.5));
