import { isBusy } from '../../../shared/app/batch.ts';
import { ImageIcon } from '../icons.tsx';
import { useDragOver } from '../parts/useDragOver.ts';
import { useText } from '../parts/useText.ts';
import { useStore } from '../store.ts';

/** Shows that a file can be let go, wherever the window does not show it by itself. */
export function DropVeil() {
  const { t } = useText();
  const over = useDragOver();
  const shows = useStore(
    ({ screen, batch, image }) => screen === 'flash' && batch === null && image.kind === 'none',
  );
  const busy = useStore(({ batch }) => isBusy(batch));
  if (!over || shows || busy) return null;
  return (
    <div className="veil">
      <span className="drop-icon">
        <ImageIcon size={40} />
      </span>
      <p className="drop-title">{t('image.dropNow')}</p>
    </div>
  );
}
