set(LIMIT_interop.torch 300)
