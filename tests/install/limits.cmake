set(LIMIT_install.install 300)
