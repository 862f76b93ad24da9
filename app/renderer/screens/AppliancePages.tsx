import { useEffect, useRef } from 'react';
import { ask } from '../client.ts';
import { Bar } from '../parts/Bar.tsx';
import { useText } from '../parts/useText.ts';
import { useStore } from '../store.ts';

interface Props {
  readonly isThere: boolean | null;
  /** Something is asked in front of them. */
  readonly isAside: boolean;
}

/** The place in the window that the program draws the appliance's own pages over. */
export function AppliancePages({ isThere, isAside }: Props) {
  const { t } = useText();
  const place = useRef<HTMLDivElement>(null);
  // What lies over the window would lie over its dialogs, too.
  const isCovered = useStore((state) => state.sheet !== null);
  const isSeen = isThere === true && !isCovered && !isAside;
  useEffect(() => {
    const element = place.current;
    if (!element || !isSeen) return;
    const tell = () => {
      const { left, top, width, height } = element.getBoundingClientRect();
      const frame = {
        x: Math.round(left),
        y: Math.round(top),
        width: Math.max(1, Math.round(width)),
        height: Math.max(1, Math.round(height)),
      };
      void ask('appliance.frame', { frame });
    };
    const observer = new ResizeObserver(tell);
    observer.observe(element);
    // Notes above it push it down without changing its size on all sides.
    observer.observe(document.body);
    tell();
    return () => {
      observer.disconnect();
      void ask('appliance.frame', { frame: null });
    };
  }, [isSeen]);
  return (
    <>
      <p className="for-readers">{t('appliance.pagesHint')}</p>
      <div ref={place} className="pages">
        {isThere === false ? <p className="nothing">{t('appliance.pagesMissing')}</p> : null}
        {isThere === null ? <Bar label={t('common.loading')} share={null} /> : null}
      </div>
    </>
  );
}
