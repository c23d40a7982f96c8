"""Articles as they were read before: reading half a thousand of them again is most of the work of a rebuild."""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from threading import Lock

from newsletter.domain.articles import Article
from newsletter.services.context import Transaction
from newsletter.storage.articles import load_articles, load_modified

MOST_ARTICLES = 2_000
"""Articles that are kept, those needed last: of 8 KB in three languages, 50 MB; feeds' entries share their texts."""


@dataclass(slots=True)
class ArticleMemory:
    """Articles of one database, each as long as it says that it was not changed since."""

    capacity: int = MOST_ARTICLES
    _kept: "OrderedDict[int, Article]" = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def load(self, tx: Transaction, ids: Iterable[int]) -> dict[int, Article]:
        """Return by id the articles with those ids as they are now, withdrawn ones too; as `load_articles`."""
        modified = load_modified(tx.session, ids)
        with self._lock:
            kept = {each: self._kept[each] for each in modified if each in self._kept}
            found = {each: article for each, article in kept.items() if article.modified_at == modified[each]}
            for each in found:
                self._kept.move_to_end(each)
        read = {article.id: article for article in load_articles(tx.session, modified.keys() - found.keys())}
        with self._lock:
            self._kept |= read
            while len(self._kept) > self.capacity:
                self._kept.popitem(last=False)
        return found | read

    def forget(self, ids: Collection[int]) -> None:
        """Forget articles that are known to have changed."""
        with self._lock:
            for each in ids:
                self._kept.pop(each, None)
